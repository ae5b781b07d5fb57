/** The form's reference images: add them with a button, by drop or by paste. */

import { many } from "../client/format.js";
import { ACCEPTED } from "../client/uploads.js";
import { Button, html, useEffect, useLayoutEffect, useRef, useState } from "./elements.js";
import { DRAGGED } from "./image_grid.js";
import { note } from "./notices.js";

let List = null; // the component that shows the references, once it is loaded

/** Loads what shows the references. Most pictures have none, so it is not part of the first load. */
export async function loadReferenceList() {
  ({ ReferenceList: List } = await import("./reference_list.js"));
}

/** Shows the references of a MakeForm. `problem` is what the API reports about them. */
export function References({ form, problem }) {
  const { references, signal } = form;
  const { items, limit } = references;
  useListWhenNeeded(form);
  const isOver = useDrops(signal, limit && references);
  const group = useRef();
  const refocus = useRefocus(group);
  const trouble = references.problem ?? problem;
  if (!limit && !items.length)
    return html`<p class="hint">${form.values.model} takes no reference images.</p>`;
  return html`
    <fieldset
      class=${isOver ? "references over" : "references"}
      id="reference_images"
      tabindex="-1"
      aria-describedby="reference_images-hint reference_images-problem"
      aria-invalid=${trouble ? "true" : null}
      ref=${group}
    >
      <legend>Reference images<small> optional</small></legend>
      ${items.length > 0 && List && html`<${List} form=${form} refocus=${refocus} />`}
      ${items.length < limit && html`<${AddButton} onadd=${(files) => references.add(files)} />`}
      <small id="reference_images-hint" class="hint">
        ${items.length
          ? "Your text can call them Image 1, Image 2 and so on."
          : `Up to ${many(limit, "picture")} to start from. Drop or paste them here, too.`}
      </small>
      <small id="reference_images-problem" class="problem">${trouble}</small>
      ${references.notice && html`<p class="problem">${references.notice}</p>`}
    </fieldset>
  `;
}

function useListWhenNeeded({ references: { items }, signal, onchange }) {
  useEffect(() => {
    if (!items.length || List) return;
    const problem = "The reference images cannot be shown. Check your connection and try again.";
    const fail = () => note(problem, { failed: true });
    loadReferenceList().then(onchange, () => signal.aborted || fail());
  }, [items]);
}

/** Opens the browser's dialog that chooses files. */
function AddButton({ onadd }) {
  const input = useRef();
  function take({ target }) {
    onadd([...target.files]);
    target.value = ""; // the same file can be chosen again
  }
  return html`
    <${Button} class="secondary add" icon="add" onclick=${() => input.current.click()}>
      Add reference images
    <//>
    <input type="file" multiple hidden accept=${ACCEPTED} ref=${input} onchange=${take} />
  `;
}

/**
 * Takes files and images of the gallery that are dropped anywhere in the view, and pasted files.
 *
 * Returns whether some are held over it. Without `references` they are refused, but a dropped file
 * never replaces the page.
 */
function useDrops(signal, references) {
  const [isOver, setOver] = useState(false);
  const latest = useRef();
  latest.current = references;
  useLayoutEffect(() => {
    const listen = (type, handle) => addEventListener(type, handle, { signal });
    const isBusy = () => !latest.current || document.querySelector("dialog[open], .pswp");
    const over = (event) => {
      if (!event.dataTransfer.types.some((type) => type === "Files" || type === DRAGGED)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = isBusy() ? "none" : "copy";
      setOver(!isBusy());
    };
    listen("dragenter", over);
    listen("dragover", over);
    listen("dragleave", ({ relatedTarget }) => relatedTarget || setOver(false));
    listen("drop", (event) => {
      setOver(false);
      const { dataTransfer: data } = event;
      const image = data.getData(DRAGGED);
      if (!image && !data.files.length) return;
      event.preventDefault();
      if (isBusy()) return;
      // The browser adds a copy of the small picture that was dragged.
      if (image) latest.current.addImage(JSON.parse(image));
      else latest.current.add([...data.files]);
    });
    listen("paste", (event) => {
      const { files, types } = event.clipboardData;
      // A copy from a text program has a picture of the text, too.
      if (!files.length || types.includes("text/plain") || isBusy()) return;
      event.preventDefault();
      latest.current.add([...files]);
    });
  }, []);
  return isOver;
}

/** Returns `refocus(selector, otherwise)`, which focuses an element once it is drawn again. */
function useRefocus(group) {
  const wanted = useRef(null);
  useLayoutEffect(() => {
    const [selector, otherwise] = wanted.current ?? [];
    wanted.current = null;
    if (!selector) return;
    const find = (where) => where && group.current?.querySelector(where);
    (find(selector) ?? find(otherwise) ?? find(".add"))?.focus();
  });
  return (...selectors) => (wanted.current = selectors);
}
