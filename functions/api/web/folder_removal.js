/** Deletes a folder's pictures, once its name was typed, and lets people take it back. */

import { button, el, set } from "./dom.js";
import { ended } from "./follow.js";
import { bytes, many } from "./format.js";
import { note } from "./notices.js";

/** Asks for the folder's name and deletes. `onchange` hears when pictures went or came back. */
export function askToDelete(folder, { api, onchange }) {
  const typed = el("input", {
    id: "typed",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "typed-hint",
  });
  const confirm = el(
    "button",
    { type: "submit", class: "danger solid", "aria-disabled": "true" },
    `Delete ${many(folder.count, "picture")}`,
  );
  const form = el(
    "form",
    { novalidate: true },
    el("label", { for: "typed" }, "Type the folder's name to delete it"),
    typed,
    el("small", { id: "typed-hint", class: "hint" }, folder.name),
    el(
      "footer",
      { class: "row" },
      button("Keep it", () => dialog.close(), { class: "secondary" }),
      confirm,
    ),
  );
  const dialog = el(
    "dialog",
    { "aria-labelledby": "ask", class: "ask" },
    el(
      "article",
      {},
      el("h2", { id: "ask" }, `Delete the folder ${folder.name}?`),
      el(
        "p",
        {},
        `${many(folder.count, "picture")}, ${bytes(folder.bytes)}. They stay under Recently deleted for a while and can be brought back from there.`,
      ),
      form,
    ),
  );
  typed.addEventListener("input", () => set(confirm, "aria-disabled", typed.value === folder.name ? null : "true"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (typed.value !== folder.name) return typed.focus();
    dialog.close();
    remove(folder, { api, onchange });
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  typed.focus();
}

async function remove(folder, { api, onchange }) {
  const close = note(`Deleting the folder ${folder.name}…`, { seconds: 900 });
  try {
    await ended(api, await api.deleteFolder(folder.name));
  } catch (error) {
    close();
    return note(`The folder ${folder.name} could not be deleted. ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
  }
  close();
  onchange();
  note(`The folder ${folder.name} is deleted.`, {
    action: "Undo",
    seconds: 10,
    focus: true,
    onaction: () => bringBack(folder.name, { api, onchange }),
  });
}

/** Brings a deleted folder's pictures back. */
export async function bringBack(name, { api, onchange }) {
  const close = note(`Bringing back the folder ${name}…`, { seconds: 900 });
  try {
    await ended(api, await api.restoreFolder(name));
    close();
    onchange();
    note(`The folder ${name} is back.`);
  } catch (error) {
    close();
    note(`The folder ${name} could not be brought back. ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
  }
}
