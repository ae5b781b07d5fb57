/** Deletes a picture at once and lets people take it back. */

import { ended } from "./follow.js";
import { note, picturesMoved, say } from "./notices.js";

/** Deletes; `onDeleted(image)` takes it off the page and gives what should get the focus, `onRestored(image)` puts it back. */
export async function removeImage(api, image, { onDeleted, onRestored }) {
  const name = image.title ? `“${image.title}”` : "The picture";
  const next = onDeleted?.(image);
  const deletion = api.deleteImage(image.id).then((run) => ended(api, run).then(picturesMoved));
  const close = note(`${name} is deleted.`, { action: "Undo", onaction: undo, seconds: 10, focus: true, focusAfter: () => next });
  deletion.catch((error) => {
    close();
    onRestored?.(image);
    trouble(`${name} could not be deleted.`, error);
  });

  async function undo() {
    say("Bringing it back…");
    try {
      await deletion; // the opposite may start only when this has ended
    } catch {
      return; // said above, and the picture is there
    }
    try {
      await restoreImage(api, image);
      onRestored?.(image);
      say(`${name} is back.`);
    } catch (error) {
      trouble(`${name} could not be brought back.`, error);
    }
  }
}

/** Brings a deleted picture back and waits until it is there. */
export async function restoreImage(api, image) {
  const run = await ended(api, await api.restoreImage(image.id));
  if (!run.objects) throw new Error("Nothing of it is left, or its delete has not ended yet.");
  picturesMoved();
  image.links = (await api.image(image.id)).links; // the old ones name a version that is gone
}

function trouble(text, error) {
  note(`${text} ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
}
