/** Asks before a sign-out drops work that was not sent. */

import { hasUnsentWork, readDraft, summaryOf } from "../client/drafts.js";
import { Button, html, render, useLayoutEffect, useRef } from "./elements.js";

/** Resolves to whether the draft may be dropped. Without one, nothing is asked. */
export function mayDropDraft() {
  if (!hasUnsentWork()) return true;
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
        <h2 id="sign-out-title">Sign out and discard your draft?</h2>
        <p>Not sent yet: ${summaryOf(readDraft())}. This tab forgets it.</p>
        <footer class="row">
          <${Button} onclick=${close("")} class="secondary">Cancel<//>
          <${Button} onclick=${close("yes")} class="danger solid">Sign out<//>
        </footer>
      </article>
    </dialog>
  `;
}
