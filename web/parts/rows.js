/** What the rows of runs, batches and lines share. */

import { html, useState } from "./elements.js";

/** A small picture, or an empty place. It keeps its first link, since each answer has a new one. */
export function Thumbnail({ source }) {
  const [kept, setKept] = useState(source);
  const [isMissing, setMissing] = useState(false);
  if (source && !kept) setKept(source);
  return html`
    <span class="thumbnail">
      ${kept &&
      !isMissing &&
      html`<img src=${kept} alt="" loading="lazy" onerror=${() => setMissing(true)} />`}
    </span>
  `;
}

/** How many lines of a batch have ended. */
export function LinesBar({ lines: { total, succeeded, failed, aborted } }) {
  const done = succeeded + failed + aborted;
  return html`<progress value=${done} max=${total} aria-label="Lines that have ended"></progress>`;
}
