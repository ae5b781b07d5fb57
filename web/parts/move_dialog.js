/** Asks for the folder to move images to. */

import { AskDialog } from "./ask_dialog.js";
import { Button, html, useState } from "./elements.js";
import { FolderNames } from "./folder_names.js";

/** Asks where to move what `title` names, and calls `onmove(folder)`. */
export function MoveDialog({ title, api, onmove, onclose }) {
  const [folder, setFolder] = useState("");
  return html`
    <${AskDialog}
      title=${title} words="Move" onconfirm=${() => onmove(folder.trim())} onclose=${onclose}
    >
      <label for="to-folder">Folder</label>
      <input
        id="to-folder"
        dir="auto"
        list="to-folders"
        required
        pattern=".*\\S.*"
        autocomplete="off"
        autocapitalize="off"
        placeholder="A new folder, or one of those that exist"
        value=${folder}
        oninput=${(event) => setFolder(event.target.value)}
      />
      <${FolderNames} id="to-folders" api=${api} typed=${folder} />
      <small class="hint">Public links, and pictures made from these, do not change.</small>
    <//>
  `;
}

/** A button that asks where to move an image. */
export function MoveButton({ image, api, onmove }) {
  const [isAsking, setAsking] = useState(false);
  return html`
    <${Button} onclick=${() => setAsking(true)} icon="folder" class="secondary">Move to…<//>
    ${isAsking &&
    html`
      <${MoveDialog}
        title="Move ${image.title ? `“${image.title}”` : "the picture"}"
        api=${api} onmove=${onmove} onclose=${() => setAsking(false)}
      />
    `}
  `;
}
