/** A place to drop one file, or to choose it with the browser's dialog. */

import { html, useLayoutEffect, useState } from "./elements.js";

/** `children` and `choose` are the words in it. A file that is dropped elsewhere in the view is taken, too. */
export function FileDrop({ accept, onfile, problem, signal, choose, children }) {
  const [isOver, setOver] = useState(false);
  useLayoutEffect(() => {
    const listen = (type, handle) => addEventListener(type, handle, { signal });
    const hasFiles = ({ dataTransfer }) => dataTransfer.types.includes("Files");
    const over = (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      setOver(true);
    };
    listen("dragenter", over);
    listen("dragover", over);
    listen("dragleave", ({ relatedTarget }) => relatedTarget || setOver(false));
    listen("drop", (event) => {
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault(); // a dropped file never replaces the page
      onfile(event.dataTransfer.files[0]);
    });
  }, []);
  function take({ target }) {
    if (target.files[0]) onfile(target.files[0]);
    target.value = ""; // the same file can be chosen again
  }
  return html`
    <label class=${isOver ? "drop over" : "drop"}>
      <strong>${children}</strong>
      <span class="choose">${choose}</span>
      <input
        type="file"
        class="unseen"
        accept=${accept}
        aria-invalid=${problem ? "true" : null}
        aria-describedby="drop-problem"
        onchange=${take}
      />
    </label>
    <small id="drop-problem" class="problem" role="alert">${problem}</small>
  `;
}
