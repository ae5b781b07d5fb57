/** Asks before a sign-out drops words that were not sent. */

import { hasUnsentWords, readDraft } from "../client/form_values.js";
import { Button, html, render, useLayoutEffect, useRef } from "./elements.js";

/** Resolves to whether the draft may be dropped. Without one, nothing is asked. */
export function mayDropDraft() {
  if (!hasUnsentWords()) return true;
  const place = document.body.appendChild(document.createElement("div"));
  return new Promise((resolve) => {
    const answer = (mayDrop) => {
      render(null, place);
      place.remove();
      resolve(mayDrop);
    };
    render(html`<${SignOutDialog} onanswer=${answer} />`, place);
  });
}

function SignOutDialog({ onanswer }) {
  const dialog = useRef();
  useLayoutEffect(() => dialog.current.showModal(), []);
  const close = (value) => () => dialog.current.close(value);
  return html`
    <dialog
      aria-labelledby="sign-out-title"
      class="ask"
      ref=${dialog}
      onclose=${() => onanswer(dialog.current.returnValue === "yes")}
    >
      <article>
        <h2 id="sign-out-title">Sign out and discard your text?</h2>
        <p>“${readDraft().idea.trim().slice(0, 120)}” was not sent. This tab forgets it.</p>
        <footer class="row">
          <${Button} onclick=${close("")} class="secondary">Cancel<//>
          <${Button} onclick=${close("yes")} class="danger solid">Sign out<//>
        </footer>
      </article>
    </dialog>
  `;
}
