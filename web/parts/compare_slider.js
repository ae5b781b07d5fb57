/** Compares an image with the one that it was made from. */

import { readReference } from "../client/reference_images.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";

const START = 50; // where the line between both is at first, in percent from the left

/** Opens the comparison, if the image was made from another one. */
export function CompareButton({ image, api, ontrouble }) {
  const [before, setBefore] = useState(null); // the link to the first reference
  const first = image.references?.find(({ is_mask: isMask }) => !isMask);
  if (!first?.thumbnail || !image.links) return null;
  async function open() {
    try {
      setBefore((await readReference(api, { key: first.key, image: first.id })).picture);
    } catch (error) {
      ontrouble(error);
    }
  }
  return html`
    <${Button} onclick=${open} icon="compare" class="secondary whole">Compare before and after<//>
    ${before &&
    html`
      <${CompareDialog} image=${image} before=${before} onclose=${() => setBefore(null)} />
    `}
  `;
}

function CompareDialog({ image, before, onclose }) {
  const dialog = useRef();
  const [at, setAt] = useState(START);
  useLayoutEffect(() => dialog.current.showModal(), []);
  return html`
    <dialog class="compare" aria-labelledby="compare-title" ref=${dialog} onclose=${onclose}>
      <article>
        <h2 id="compare-title">Before and after</h2>
        <div class="both" style=${{ "--ratio": image.width / image.height, "--at": `${at}%` }}>
          <img src=${before} alt="Before: the original picture" />
          <img class="after" src=${image.links.picture} alt="After: ${nameOf(image)}" />
          <input
            type="range"
            min="0"
            max="100"
            aria-label="The line between before and after"
            aria-valuetext="${at} % before, ${100 - at} % after"
            value=${at}
            oninput=${(event) => setAt(Number(event.target.value))}
          />
        </div>
        <p class="sides" aria-hidden="true"><span>Before</span><span>After</span></p>
        <footer class="row">
          <${Button} onclick=${() => dialog.current.close()} class="secondary">Close<//>
        </footer>
      </article>
    </dialog>
  `;
}

const nameOf = ({ alt_text: alt, title }) => alt || title || "the new picture";
