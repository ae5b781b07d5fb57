/** Asks for a folder's name before its images are deleted. */

import { bytes, many } from "../client/format.js";
import { deleteFolder } from "./deletes.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";

/** Asks to delete the folder `name` of `folders`, with the folders below it. */
export function DeleteFolderDialog({ name, folders, api, onclose }) {
  const dialog = useRef();
  const close = () => dialog.current.close();
  useLayoutEffect(() => {
    dialog.current.showModal();
    dialog.current.querySelector("input").focus();
  }, []);

  const deleted = folders.filter((folder) => `${folder.name}/`.startsWith(`${name}/`));
  const pictures = many(sum(deleted, "count"), "picture");
  const below = many(deleted.length - 1, "folder");
  const where = deleted.length > 1 ? ` in it and in ${below} below it` : "";
  function confirm() {
    close();
    deleteFolder(api, name);
  }
  return html`
    <dialog aria-labelledby="ask" class="ask" ref=${dialog} onclose=${onclose}>
      <article>
        <h2 id="ask">Delete the folder ${name}?</h2>
        <p>
          ${pictures}${where}, ${bytes(sum(deleted, "bytes"))}. You can restore them under
          Recently deleted for some time. Restoring the folder also restores pictures that were
          deleted from it earlier.
        </p>
        <${NameForm} name=${name} onconfirm=${confirm} onkeep=${close}>Delete ${pictures}<//>
      </article>
    </dialog>
  `;
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
