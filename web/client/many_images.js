/** Deletes, restores and shares many images at once, each by one run. */

import { checkCount } from "./mark_changes.js";
import { noteImage } from "./recent_changes.js";
import { ended } from "./run_polling.js";

const STATUS = { delete: "deleted", restore: "stored" };

/**
 * Carries out an action of POST /images/actions, and resolves once its run has succeeded.
 *
 * If some images could not be changed, all others are, and the error names the first ones.
 */
export async function actOnImages(api, images, action) {
  checkCount(images);
  await ended(api, await api.actOnImages({ ids: images.map(({ id }) => id), action }));
  const status = STATUS[action];
  if (!status) return;
  const deleted_at = status === "deleted" ? new Date().toISOString() : null;
  // The old links of a restored image name a version that is gone.
  for (const image of images) noteImage({ ...image, status, deleted_at, links: null });
}

/**
 * Returns the images that a run's error names, each with its reason.
 *
 * The error has "<id>: <reason>" for each of the first ones.
 */
export function failuresIn({ message }, images) {
  const named = images
    .map((image) => ({ image, at: message.indexOf(` ${image.id}: `) }))
    .filter(({ at }) => at >= 0)
    .sort((one, other) => one.at - other.at);
  return named.map(({ image, at }, index) => ({
    image,
    reason: message.slice(at + image.id.length + 3, named[index + 1]?.at).replace(/;$/, ""),
  }));
}
