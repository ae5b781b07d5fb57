/** Follows what is noted about images, wherever they are on the page. */

import { noteChange } from "./recent_changes.js";

const CHANGED = "easel:marks";

/** Calls `onchange(changes)` with the changed fields of images by id, until the signal is aborted. */
export function watchMarks(onchange, signal) {
  addEventListener(CHANGED, ({ detail }) => onchange(detail), { signal });
}

/** Shows changed fields of images, a Map by id, wherever the images are on the page. */
export function announceMarks(changes) {
  for (const [id, fields] of changes) noteChange(id, fields);
  dispatchEvent(new CustomEvent(CHANGED, { detail: changes }));
}
