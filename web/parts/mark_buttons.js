/** Buttons that mark an image as a favourite or reject it, and the notices about that. */

import { explain } from "../client/api.js";
import { changeImage } from "../client/mark_changes.js";
import { Button, html } from "./elements.js";
import { note } from "./notices.js";

/** Changes what is noted about an image. Returns whether it worked; otherwise a notice says why. */
export async function mark(api, image, change) {
  try {
    await changeImage(api, image, change);
    return true;
  } catch (error) {
    note(`${nameOf(image)} could not be changed. ${explain(error)}`, { failed: true, seconds: 20 });
    return false;
  }
}

/** Rejects an image, and offers to undo that. */
export function reject(api, image) {
  const close = note(`${nameOf(image)} is rejected. It is hidden in the gallery.`, {
    action: "Undo",
    onaction: () => mark(api, image, { hidden: false }),
    focus: true,
  });
  mark(api, image, { hidden: true }).then((isDone) => isDone || close());
}

/** Both buttons. `onmark(change)` is called on a click. */
export function MarkButtons({ image, onmark }) {
  const { favourite = false, hidden = false } = image;
  return html`
    <${Button}
      onclick=${() => onmark({ favourite: !favourite })}
      icon="star"
      class="secondary star"
      aria-pressed=${String(favourite)}
    >
      Favourite
    <//>
    <${Button} onclick=${() => onmark({ hidden: !hidden })} icon="hide" class="secondary">
      ${hidden ? "Show again" : "Reject"}
    <//>
  `;
}

export const nameOf = ({ title }) => (title ? `“${title}”` : "The picture");
