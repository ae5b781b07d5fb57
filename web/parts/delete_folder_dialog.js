/** Asks for a folder's name before its images are deleted. */

import { bytes, many } from "../client/format.js";
import { deleteFolder } from "./deletes.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";

/** Asks to delete a folder with the folders below it, which it counts up to a page of the API. */
export function DeleteFolderDialog({ folder, api, onclose }) {
  const { name } = folder;
  const dialog = useRef();
  const [below, setBelow] = useState(null);
  const close = () => dialog.current.close();
  useLayoutEffect(() => {
    dialog.current.showModal();
    dialog.current.querySelector("input").focus();
    api.folders({ prefix: `${name}/` }).then(setBelow, () => {}); // the words stay general
  }, []);

  function confirm() {
    close();
    deleteFolder(api, name);
  }
  return html`
    <dialog aria-labelledby="ask" class="ask" ref=${dialog} onclose=${onclose}>
      <article>
        <h2 id="ask">Delete the folder ${name}?</h2>
        <p>
          ${amountOf(folder, below)} You can restore them under Recently deleted for some time.
          Restoring the folder also restores pictures that were deleted from it earlier.
        </p>
        <${NameForm} name=${name} onconfirm=${confirm} onkeep=${close}>
          Delete ${totalOf(folder, below) ?? "all pictures"}
        <//>
      </article>
    </dialog>
  `;
}

/** Returns how many pictures are in the folder and below it, or null if that is not known. */
function totalOf(folder, below) {
  if (!below || below.cursor) return null;
  return many(sum([folder, ...below.folders], "count"), "picture");
}

/** Returns a sentence on what is deleted. */
function amountOf(folder, below) {
  const total = totalOf(folder, below);
  if (!total) return `${many(folder.count, "picture")} in it, and all in the folders below it.`;
  const { folders } = below;
  const where = folders.length ? ` in it and in ${many(folders.length, "folder")} below it` : "";
  return `${total}${where}, ${bytes(sum([folder, ...folders], "bytes"))}.`;
}

const sum = (folders, name) => folders.reduce((total, folder) => total + folder[name], 0);

/** Confirms once the name is typed. */
function NameForm({ name, onconfirm, onkeep, children }) {
  const [typed, setTyped] = useState("");
  const input = useRef();
  function submit(event) {
    event.preventDefault();
    if (typed === name) onconfirm();
    else input.current.focus();
  }
  return html`
    <form novalidate onsubmit=${submit}>
      <label for="typed">Type the folder's name to delete it</label>
      <input
        id="typed"
        dir="auto"
        autocomplete="off"
        autocapitalize="off"
        spellcheck=${false}
        aria-describedby="typed-hint"
        ref=${input}
        value=${typed}
        oninput=${(event) => setTyped(event.target.value)}
      />
      <small id="typed-hint" class="hint">${name}</small>
      <footer class="row">
        <${Button} onclick=${onkeep} class="secondary">Cancel<//>
        <button type="submit" class="danger solid" aria-disabled=${typed === name ? null : "true"}>
          ${children}
        </button>
      </footer>
    </form>
  `;
}
