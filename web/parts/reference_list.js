/** The list of the form's reference images: thumbnails, uploads, and the mask of the first one. */

import { explain } from "../client/api.js";
import { identityOf } from "../client/form_values.js";
import { readReference } from "../client/reference_images.js";
import { uploadOf } from "../client/uploads.js";
import { Button, Icon, html, useEffect, useRef, useState } from "./elements.js";
import { MaskButtons, MaskLayer, useLocalLink } from "./reference_mask.js";

/** Shows the references of a MakeForm. `refocus` is that of References. */
export function ReferenceList({ form, refocus }) {
  const { references, api, signal } = form;
  const item = (reference, index) => html`
    <${Item}
      key=${identityOf(reference)} item=${reference} index=${index} references=${references}
      api=${api} signal=${signal} refocus=${refocus}
    />
  `;
  return html`
    <ul>${references.items.map(item)}</ul>
    <${MaskButtons} form=${form} />
  `;
}

function Item({ item, index, references, api, signal, refocus }) {
  const state = references.stateOf(item);
  const { details, error, renew } = useDetails(api, item, signal);
  const number = `Image ${index + 1}`;
  const name = item.name || details?.name || "";
  const isReady = state.status === "ready";
  const buttons = html`
    <${Buttons}
      key="buttons" item=${item} index=${index} references=${references} refocus=${refocus}
      state=${state} number=${number} name=${name}
    />
  `;
  if (state.status === "failed")
    return html`
      <li class="reference failed">
        <p><strong>${name}</strong> ${state.error.message}</p>
        ${buttons}
      </li>
    `;
  return html`
    <li class=${isReady ? "reference" : "reference busy"}>
      <div class="frame">
        <${Preview} item=${item} details=${details} alt="${number}: ${name}" onerror=${renew} />
        ${isReady && index === 0 && html`<${MaskLayer} mask=${references.mask} api=${api} />`}
        <span class="number" aria-hidden="true">${number}</span>
      </div>
      <small class="name">${isReady && error ? explain(error) : name}</small>
      ${!isReady && html`<${Progress} name=${name} state=${state} />`}
      ${buttons}
    </li>
  `;
}

/** Reads what a reference is, once it has a key. `renew()` reads it again, for a new link. */
function useDetails(api, item, signal) {
  const [details, setDetails] = useState(() => uploadOf(item.upload)?.result);
  const [error, setError] = useState(null);
  const hasNewLink = useRef(false);
  async function read() {
    try {
      setDetails(await readReference(api, item, signal));
      setError(null);
    } catch (problem) {
      if (!signal.aborted) setError(problem);
    }
  }
  useEffect(() => {
    const result = uploadOf(item.upload)?.result;
    if (result) setDetails(result);
    else if (item.key) read();
  }, [item.key]);
  function renew() {
    if (hasNewLink.current) return;
    hasNewLink.current = true; // the link has probably expired; one more try finds out
    read();
  }
  return { details, error, renew };
}

/** A reference's thumbnail, or the file itself as long as the API has none. */
function Preview({ item, details, alt, onerror }) {
  const source = useLocalLink(details ? null : uploadOf(item.upload)?.file);
  const [isBroken, setBroken] = useState(false); // the browser cannot show every type
  const src = details?.thumbnail ?? source;
  useEffect(() => setBroken(false), [src]);
  if (!src || isBroken) return html`<span class="blank"><${Icon} name="add" /></span>`;
  const fail = () => (details ? onerror() : setBroken(true));
  return html`<img src=${src} alt=${alt} draggable=${false} onerror=${fail} />`;
}

function Progress({ name, state: { status, share } }) {
  const value = status === "sending" ? share : null;
  return html`<progress aria-label="Upload of ${name}" value=${value} max="1"></progress>`;
}

/**
 * Moves, removes, cancels and retries a reference.
 *
 * The last button is the same one in all states, so it keeps the focus when an upload ends.
 */
function Buttons({ item, index, references, refocus, state, number, name }) {
  const { status, share, canRetry } = state;
  const last = references.items.length - 1;
  const place = (other) => `li:nth-child(${other + 1})`;
  const words = { waiting: "Waiting", sending: `${Math.floor(share * 100)} %`, checking: "Checking" };
  const ends = { ready: `Remove ${number}, ${name}`, failed: `Remove ${name}` };
  const label = ends[status] ?? `Cancel the upload of ${name}`;

  function remove() {
    refocus(`${place(index)} .last`, `${place(index - 1)} .last`);
    references.remove(item);
  }
  function retry() {
    refocus(`${place(index)} .last`);
    references.retry(item);
  }
  const mover = (by, kind) => {
    const direction = `Move ${number} ${kind}`;
    const isOff = !references.items[index + by];
    function move() {
      if (isOff) return;
      refocus(`${place(index + by)} .${kind}`);
      references.move(item, by);
    }
    return html`
      <button
        type="button"
        class="quiet ${kind}"
        aria-label=${direction}
        title=${direction}
        aria-disabled=${isOff ? "true" : null}
        onclick=${move}
      >
        <${Icon} name=${kind} />
      </button>
    `;
  };
  return html`
    <div class="under">
      ${words[status] && html`<small>${words[status]}</small>`}
      ${status === "ready" && last > 0 && [mover(-1, "left"), mover(1, "right")]}
      ${canRetry && html`<${Button} icon="again" class="secondary" onclick=${retry}>Try again<//>`}
      <button
        key="end"
        type="button"
        class="quiet last"
        aria-label=${label}
        title=${label}
        onclick=${remove}
      >
        ${words[status] ? "Cancel" : html`<${Icon} name="cross" />`}
        ${status === "failed" && "Remove"}
      </button>
    </div>
  `;
}
