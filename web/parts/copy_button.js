/** A button that copies a text. */

import { Button, html, useEffect, useRef, useState } from "./elements.js";

const COPIED_MS = 3000;

/** Copies the text that `read()` resolves to, and has `onoutcome(text)` read out. */
export function CopyButton({ words, done, read, onoutcome }) {
  const [outcome, setOutcome] = useState("");
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  async function copy() {
    const show = (text) => (setOutcome(text), onoutcome(text));
    try {
      await navigator.clipboard.writeText(await read());
      show(done);
    } catch {
      show("Could not be copied");
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => show(""), COPIED_MS);
  }
  return html`
    <${Button} onclick=${copy} icon="copy" class="secondary">${outcome || words}<//>
  `;
}
