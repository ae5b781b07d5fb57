/** Deletes a folder's pictures, once its name was typed, and lets people take it back. */

import { button, el, set } from "./dom.js";
import { ended } from "./follow.js";
import { bytes, many } from "./format.js";
import { note, picturesMoved } from "./notices.js";

/** Asks for the folder's name and deletes it, with the folders below it. */
export function askToDelete(name, { api, folders }) {
  const those = folders.filter((one) => one.name === name || one.name.startsWith(`${name}/`));
  const pictures = many(those.reduce((sum, { count }) => sum + count, 0), "picture");
  const size = bytes(those.reduce((sum, one) => sum + one.bytes, 0));
  const below = those.length > 1 ? ` in it and in ${many(those.length - 1, "folder")} below it` : "";
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
    `Delete ${pictures}`,
  );
  const form = el(
    "form",
    { novalidate: true },
    el("label", { for: "typed" }, "Type the folder's name to delete it"),
    typed,
    el("small", { id: "typed-hint", class: "hint" }, name),
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
      el("h2", { id: "ask" }, `Delete the folder ${name}?`),
      el(
        "p",
        {},
        `${pictures}${below}, ${size}. They stay under Recently deleted for a while and can be brought back from there; that brings back all that was ever deleted from the folder and is still kept.`,
      ),
      form,
    ),
  );
  typed.addEventListener("input", () => set(confirm, "aria-disabled", typed.value === name ? null : "true"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (typed.value !== name) return typed.focus();
    dialog.close();
    remove(name, api);
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  typed.focus();
}

async function remove(name, api) {
  const close = note(`Deleting the folder ${name}…`, { seconds: 900 });
  try {
    await ended(api, await api.deleteFolder(name));
  } catch (error) {
    close();
    return note(`The folder ${name} could not be deleted. ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
  }
  close();
  picturesMoved();
  note(`The folder ${name} is deleted.`, {
    action: "Undo",
    seconds: 10,
    focus: true,
    onaction: () => bringBack(name, api),
  });
}

/** Brings a deleted folder's pictures back. */
export async function bringBack(name, api) {
  const close = note(`Bringing back the folder ${name}…`, { seconds: 900 });
  try {
    const run = await ended(api, await api.restoreFolder(name));
    if (!run.objects) throw new Error("Nothing of it is left.");
    close();
    picturesMoved();
    note(`The folder ${name} is back.`);
  } catch (error) {
    close();
    note(`The folder ${name} could not be brought back. ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
  }
}
