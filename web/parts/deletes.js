/** Deletes and restores images and folders, with notices that report the outcome and offer Undo. */

import { explain } from "../client/api.js";
import { forgetImage, noteFolder, noteImage } from "../client/recent_changes.js";
import { ended } from "../client/run_polling.js";
import { announceImagesChanged, note, say } from "./notices.js";

const WAITING_SECONDS = 900; // longer than any delete or restore takes

/**
 * Deletes an image at once.
 *
 * `onDeleted(image)` takes it off the page and returns a function that finds the element to focus.
 * `onRestored(image)` puts it back. `uses` says what the delete means for other images, if anything.
 */
export async function deleteImage(api, image, { uses, onDeleted, onRestored }) {
  const name = image.title ? `“${image.title}”` : "The picture";
  const focusAfter = onDeleted(image);
  noteImage({ ...image, status: "deleted", deleted_at: new Date().toISOString() });
  const deletion = finishDelete(api, image);
  const close = note([`${name} is deleted.`, uses].filter(Boolean).join(" "), {
    action: "Undo",
    onaction: undo,
    focus: true,
    focusAfter,
  });
  deletion.catch((error) => {
    close();
    forgetImage(image);
    onRestored(image);
    report(`${name} could not be deleted.`, error);
  });

  async function undo() {
    say("Restoring…");
    try {
      await deletion; // the restore may start only when the delete has ended
    } catch {
      return; // it is reported above, and the image is still there
    }
    try {
      await restoreImage(api, image);
      onRestored(image);
      say(`${name} is restored.`);
    } catch (error) {
      report(`${name} could not be restored.`, error);
    }
  }
}

async function finishDelete(api, image) {
  await ended(api, await api.deleteImage(image.id));
  const deleted = await api.image(image.id).catch(() => null);
  if (deleted) noteImage(deleted); // it has the time until which it can be restored
  announceImagesChanged();
}

/** A restore found nothing: the image was removed permanently. */
export class GoneError extends Error {
  constructor() {
    super("It was removed permanently.");
  }
}

/** Restores a deleted image and waits until it is there. */
export async function restoreImage(api, image) {
  const run = await ended(api, await api.restoreImage(image.id));
  if (!run.objects) {
    const isNew = Date.now() - Date.parse(image.deleted_at) < WAITING_SECONDS * 1000;
    throw isNew ? new Error("It is still being deleted, or no longer stored.") : new GoneError();
  }
  const restored = await api.image(image.id);
  // The old links name a version that is gone.
  Object.assign(image, { links: restored.links, status: restored.status });
  noteImage(restored);
  announceImagesChanged();
}

/** Deletes a folder's images. */
export async function deleteFolder(api, name) {
  const close = note(`Deleting the folder ${name}…`, { seconds: WAITING_SECONDS });
  try {
    noteFolder(name, "deleted", await ended(api, await api.deleteFolder(name)));
  } catch (error) {
    close();
    return report(`The folder ${name} could not be deleted.`, error);
  }
  close();
  announceImagesChanged();
  note(`The folder ${name} is deleted.`, {
    action: "Undo",
    onaction: () => restoreFolder(api, name),
    focus: true,
  });
}

/** Restores a deleted folder's images. */
export async function restoreFolder(api, name) {
  const close = note(`Restoring the folder ${name}…`, { seconds: WAITING_SECONDS });
  try {
    const run = await ended(api, await api.restoreFolder(name));
    if (!run.objects) throw new Error("Its pictures are no longer stored.");
    noteFolder(name, "stored", run);
    close();
    announceImagesChanged();
    note(`The folder ${name} is restored.`);
  } catch (error) {
    close();
    report(`The folder ${name} could not be restored.`, error);
  }
}

/** Shows a failure of a delete or a restore for long enough to read it. */
export function report(text, error) {
  note(`${text} ${explain(error)}`, { failed: true, seconds: 20 });
}
