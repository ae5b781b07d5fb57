/** Moves images to another folder, with a notice that reports the outcome and offers Undo. */

import { many } from "../client/format.js";
import { checkCount } from "../client/mark_changes.js";
import { announceMarks } from "../client/marks.js";
import { noteImage } from "../client/recent_changes.js";
import { ended } from "../client/run_polling.js";
import { report } from "./deletes.js";
import { nameOf } from "./mark_buttons.js";
import { announceImagesChanged, note } from "./notices.js";

const WAITING_SECONDS = 900; // longer than any move takes

/**
 * Moves images, and resolves to whether it worked.
 *
 * `onfailed(error)` is called if it did not. Without it, a notice shows the error.
 */
export async function moveImages(api, images, folder, { onfailed, isUndo = false } = {}) {
  const what = images.length === 1 ? nameOf(images[0]) : many(images.length, "picture");
  const before = Map.groupBy(images, folderOf);
  const close = note(`Moving ${what}…`, { seconds: WAITING_SECONDS });
  try {
    checkCount(images);
    await ended(api, await start(api, images, folder));
  } catch (error) {
    close();
    if (onfailed) onfailed(error);
    else report(`${what} could not be moved.`, error);
    return false;
  }
  close();
  showMoved(images, folder);
  const undo = { action: "Undo", onaction: moveBack, focus: true };
  note(`${what} moved to ${folder}.`, isUndo ? {} : undo);
  return true;

  async function moveBack() {
    for (const [earlier, group] of before)
      await moveImages(api, group, earlier, { isUndo: true });
  }
}

function start(api, images, folder) {
  const ids = images.map(({ id }) => id);
  return ids.length === 1
    ? api.moveImage(ids[0], folder)
    : api.actOnImages({ ids, action: "move", folder });
}

/** Shows images in their new folder. Their old links name files that are gone. */
function showMoved(images, folder) {
  const moved = images.map(({ key, ...image }) => ({
    ...image, folder, key: `${folder}/${key.split("/").pop()}`, links: null, status: "stored",
  }));
  const fields = ({ key, links }) => ({ folder, key, links });
  announceMarks(new Map(moved.map((image) => [image.id, fields(image)])));
  moved.forEach(noteImage);
  announceImagesChanged();
}

const folderOf = ({ folder, key }) => folder ?? key.slice(0, key.lastIndexOf("/"));
