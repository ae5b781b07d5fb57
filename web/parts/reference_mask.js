/** The mask of the form's first reference image: the brush that draws it, and how it looks. */

import { explain } from "../client/api.js";
import { identityOf } from "../client/form_values.js";
import { readReference } from "../client/reference_images.js";
import { uploadOf } from "../client/uploads.js";
import { Button, html, useEffect, useRef, useState } from "./elements.js";
import { note } from "./notices.js";

/** Opens the brush for the first image, and shows how far its mask is. */
export function MaskButtons({ form: { references, api, signal } }) {
  const [first] = references.items;
  const { mask } = references;
  const row = useRef();
  const draft = useRef({}); // what was drawn and not used
  const isReady = references.stateOf(first).status === "ready";
  const state = mask && references.stateOf(mask);

  async function open({ currentTarget: button }) {
    try {
      const [{ openMaskBrush }, picture] = await Promise.all([
        import("./mask_brush.js"),
        readReference(api, first, signal),
      ]);
      const start = draft.current.of === identityOf(first) ? draft.current.strokes : null;
      const { file, strokes } = await openMaskBrush({
        picture,
        original: uploadOf(first.upload)?.file,
        strokes: start ?? mask?.strokes ?? [],
        signal,
      });
      draft.current = file ? {} : { of: identityOf(first), strokes };
      if (file) references.setMask(file, strokes);
      button.focus();
    } catch (error) {
      if (!signal.aborted) note(`Image 1 cannot be marked. ${explain(error)}`, { failed: true });
    }
  }

  function remove() {
    references.removeMask();
    row.current.querySelector("button").focus();
  }

  if (!isReady) return null;
  return html`
    <div class="row marks" ref=${row}>
      <${Button} icon="brush" class="secondary" onclick=${open}>
        ${!mask ? "Mark what may change" : mask.strokes ? "Change the mask" : "Draw the mask again"}
      <//>
      ${mask &&
      html`
        <${Button} icon="cross" class="quiet" onclick=${remove}>
          Remove the mask
        <//>
      `}
    </div>
    ${state && state.status !== "ready" && html`<${MaskState} state=${state} references=${references} />`}
  `;
}

function MaskState({ state: { status, error, share, canRetry }, references }) {
  if (status !== "failed")
    return html`
      <progress aria-label="Upload of the mask" value=${share || null} max="1"></progress>
    `;
  return html`
    <p class="problem">The mask is not uploaded. ${error.message}</p>
    ${canRetry &&
    html`
      <${Button} icon="again" class="secondary" onclick=${() => references.retry(references.mask)}>
        Try again
      <//>
    `}
  `;
}

/** Covers the parts of the first image that must stay as they are. */
export function MaskLayer({ mask, api }) {
  const [link, setLink] = useState(null);
  const local = useLocalLink(uploadOf(mask?.upload)?.file);
  useEffect(() => {
    setLink(null);
    if (!mask?.key || local) return;
    readReference(api, mask).then(({ thumbnail }) => setLink(thumbnail), () => {});
  }, [mask?.key, local]);
  const src = mask && (local ?? link);
  return src && html`<img class="mask" src=${src} alt="" />`;
}

/** Returns a link to a file of this computer, or null without a file. */
export function useLocalLink(file) {
  const [link, setLink] = useState(null);
  useEffect(() => {
    if (!file) return setLink(null);
    const made = URL.createObjectURL(file);
    setLink(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return link;
}
