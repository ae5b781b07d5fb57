/** Asks before something is done, with the fields that it needs. */

import { Button, html, useLayoutEffect, useRef } from "./elements.js";

/**
 * A dialog with a form. `onconfirm()` is called once the form is complete.
 *
 * The first field has the focus, or the button that cancels if there is none.
 */
export function AskDialog({ title, words, isDangerous = false, onconfirm, onclose, children }) {
  const dialog = useRef();
  const close = () => dialog.current.close();
  useLayoutEffect(() => {
    dialog.current.showModal();
    dialog.current.querySelector("input, button").focus();
  }, []);
  function submit(event) {
    event.preventDefault();
    close();
    onconfirm();
  }
  return html`
    <dialog aria-labelledby="ask" class="ask" ref=${dialog} onclose=${onclose}>
      <article>
        <h2 id="ask">${title}</h2>
        <form onsubmit=${submit}>
          ${children}
          <footer class="row">
            <${Button} onclick=${close} class="secondary">Cancel<//>
            <button type="submit" class=${isDangerous ? "danger solid" : null}>${words}</button>
          </footer>
        </form>
      </article>
    </dialog>
  `;
}
