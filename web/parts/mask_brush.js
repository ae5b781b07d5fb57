/** A dialog that marks what may change in a picture: with mouse, finger, pen or keys. */

import { toFile } from "../client/mask.js";
import { Button, html, render, useLayoutEffect, useReducer, useRef, useState } from "./elements.js";
import { Choices } from "./form_fields.js";
import { Stage } from "./mask_stage.js";

const SIZES = { min: 1, max: 40, start: 8 }; // the brush, in percent of the picture's longer side
const KINDS = [
  { value: "paint", label: "Paint" },
  { value: "erase", label: "Erase" },
];

/**
 * Opens the dialog for a picture of readReference, and resolves to `{ file, strokes }`.
 *
 * `original` is the picture's file if it is on this computer, which looks sharper. The mask `file`
 * is null if the dialog was closed without it. The strokes are those of client/mask.js.
 */
export function openMaskBrush({ signal, ...options }) {
  signal.throwIfAborted();
  const place = document.body.appendChild(document.createElement("div"));
  return new Promise((resolve, reject) => {
    const end = (settle) => (value) => {
      render(null, place);
      place.remove();
      settle(value);
    };
    signal.addEventListener("abort", () => end(reject)(signal.reason), { once: true });
    render(html`<${MaskBrush} ...${options} onclose=${end(resolve)} />`, place);
  });
}

function MaskBrush({ picture, original, strokes: start, onclose }) {
  const dialog = useRef();
  const [kind, setKind] = useState("paint");
  const [percent, setPercent] = useState(SIZES.start);
  const [error, setError] = useState(null);
  const marks = useMarks(start);
  const { width, height } = picture;
  const size = (percent / 100) * Math.max(width, height);
  const resize = (by) =>
    setPercent((before) => Math.min(SIZES.max, Math.max(SIZES.min, before + by)));
  useLayoutEffect(() => dialog.current.showModal(), []);

  async function use() {
    try {
      onclose({ file: await toFile(marks.strokes, width, height), strokes: marks.strokes });
    } catch (problem) {
      setError(problem);
    }
  }

  function watchKeys(event) {
    const { key, ctrlKey, metaKey, shiftKey } = event;
    if (!(ctrlKey || metaKey) || !"zy".includes(key.toLowerCase())) return;
    event.preventDefault();
    if (shiftKey || key === "y") marks.redo();
    else marks.undo();
  }
  return html`
    <dialog
      class="brush"
      aria-labelledby="brush-title"
      ref=${dialog}
      onclose=${() => onclose({ file: null, strokes: marks.strokes })}
      onkeydown=${watchKeys}
    >
      <article>
        <h2 id="brush-title">What may change in Image 1?</h2>
        <p id="brush-help" class="hint">
          Paint over it. Only what you paint should change. With keys: the arrows move the brush
          (Shift: a little), Space paints, + and − change its size.
        </p>
        <${Stage}
          picture=${picture}
          original=${original}
          marks=${marks}
          kind=${kind}
          size=${size}
          onresize=${resize}
        />
        <p class="hint" role="status">${outcomeOf(marks.share)}</p>
        <div class="tools">
          <${Choices}
            name="brush-kind" label="Brush" options=${KINDS} chosen=${kind} look="segments"
            onchoose=${setKind}
          />
          <label>
            Size
            <input
              type="range"
              min=${SIZES.min}
              max=${SIZES.max}
              value=${percent}
              aria-valuetext="${percent} % of the picture"
              oninput=${(event) => setPercent(Number(event.target.value))}
            />
          </label>
          <div class="row">
            <${Tool} icon="back" isOff=${!marks.canUndo} onclick=${marks.undo}>Undo<//>
            <${Tool} icon="forward" isOff=${!marks.canRedo} onclick=${marks.redo}>Redo<//>
            <${Tool} icon="bin" isOff=${!marks.share} onclick=${marks.clear}>Clear<//>
          </div>
        </div>
        ${error && html`<p class="wrong" role="alert">${error.message}</p>`}
        <footer class="row">
          <${Button} onclick=${() => dialog.current.close()} class="secondary">Cancel<//>
          <${Tool} isOff=${!marks.share} onclick=${use} look="">Use this mask<//>
        </footer>
      </article>
    </dialog>
  `;
}

function outcomeOf(share) {
  if (!share) return "Nothing is marked yet.";
  const percent = Math.round(share * 100);
  return `${percent < 1 ? "Less than 1" : percent} % of the picture may change.`;
}

/** A button that stays focusable when it has nothing to do. */
function Tool({ isOff, onclick, look = "secondary", icon, children }) {
  return html`
    <${Button}
      class=${look}
      icon=${icon}
      aria-disabled=${isOff ? "true" : null}
      onclick=${() => isOff || onclick()}
    >
      ${children}
    <//>
  `;
}

/** The strokes, and those that were undone. `share` is how much of the picture they paint. */
function useMarks(start) {
  const [share, setShare] = useState(0);
  const [state, update] = useReducer((before, change) => change(before), {
    strokes: start,
    undone: [],
  });
  const { strokes, undone } = state;
  const add = (stroke) => update((now) => ({ strokes: [...now.strokes, stroke], undone: [] }));
  const undo = () =>
    update((now) =>
      now.strokes.length
        ? { strokes: now.strokes.slice(0, -1), undone: [...now.undone, now.strokes.at(-1)] }
        : now,
    );
  const redo = () =>
    update((now) =>
      now.undone.length
        ? { strokes: [...now.strokes, now.undone.at(-1)], undone: now.undone.slice(0, -1) }
        : now,
    );
  return {
    strokes,
    share,
    setShare,
    add,
    undo,
    redo,
    clear: () => add({ kind: "clear" }),
    canUndo: strokes.length > 0,
    canRedo: undone.length > 0,
  };
}
