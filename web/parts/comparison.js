/** Compares two to four images side by side, with their parameters and what differs in them. */

import { explain } from "../client/api.js";
import { money, topicOf, when } from "../client/format.js";
import { changeImage } from "../client/mark_changes.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";
import { MarkButtons, nameOf } from "./mark_buttons.js";
import { say } from "./notices.js";
import { useMarks } from "./shown_marks.js";

const FEWEST = 2;
const MOST = 4;
/** What is compared, each with its words. A parameter that no image has is left out. */
const PARAMETERS = [
  ["Prompt", ({ prompt }) => prompt],
  ["Idea", ({ request }) => request?.description],
  ["Topic", (image) => topicOf(image)],
  ["Style", ({ style }) => style],
  ["Avoid", ({ request }) => request?.avoid?.join(", ")],
  ["Preset", ({ request }) => request?.preset],
  ["Model", ({ model }) => model],
  ["Prompt writer", ({ chat_model: model }) => model],
  ["Size", ({ width, height }) => `${width} × ${height}`],
  ["Quality", ({ quality }) => quality],
  ["Format", ({ output_format: format }) => format],
  ["Background", ({ background }) => background],
  ["References", ({ references }) => references?.length || ""],
  ["Cost", ({ cost_usd: usd }) => money(usd)],
  ["Folder", ({ folder }) => folder],
  ["Tags", ({ tags }) => tags?.join(", ")],
  ["Made", ({ stored_at: time }) => when(time)],
];

/** The button of the selection bar, and its dialog. */
export function CompareSelected({ images, api }) {
  const [wholes, setWholes] = useState(null);
  const canCompare = images.length >= FEWEST && images.length <= MOST;
  async function open() {
    if (!canCompare) return say(`Select ${FEWEST} to ${MOST} pictures to compare them.`);
    try {
      setWholes(await Promise.all(images.map(({ id }) => api.image(id))));
    } catch (error) {
      say(explain(error));
    }
  }
  return html`
    <${Button}
      onclick=${open} icon="compare" class="secondary" aria-disabled=${canCompare ? null : "true"}
    >
      Compare
    <//>
    ${wholes &&
    html`<${Comparison} images=${wholes} api=${api} onclose=${() => setWholes(null)} />`}
  `;
}

function Comparison({ images, api, onclose }) {
  const dialog = useRef();
  const [trouble, setTrouble] = useState(null);
  useMarks(images);
  useLayoutEffect(() => dialog.current.showModal(), []);
  async function mark(image, change) {
    setTrouble(null);
    try {
      await changeImage(api, image, change);
    } catch (error) {
      setTrouble(`${nameOf(image)} could not be changed. ${explain(error)}`);
    }
  }
  const rows = PARAMETERS.map(([name, read]) => [name, images.map((image) => read(image) ?? "")])
    .filter(([, values]) => values.some(Boolean))
    .map(([name, values]) => ({ name, values, differs: new Set(values).size > 1 }));
  const different = rows.filter(({ differs }) => differs).map(({ name }) => name);
  return html`
    <dialog class="comparison" aria-labelledby="comparison" ref=${dialog} onclose=${onclose}>
      <article>
        <header>
          <h2 id="comparison">Compare ${images.length} pictures</h2>
          <${Button} onclick=${() => dialog.current.close()} class="quiet" icon="cross">Close<//>
        </header>
        <p class="hint">
          ${different.length ? `They differ in: ${different.join(", ")}.` : "They do not differ."}
        </p>
        ${trouble && html`<p class="wrong" role="alert">${trouble}</p>`}
        <div
          class="sides"
          tabindex="0"
          role="group"
          aria-label="The pictures"
          style=${{ "--rows": rows.length + 2 }}
        >
          ${images.map(
            (image, index) => html`
              <${Side} key=${image.id} image=${image} rows=${rows} index=${index} onmark=${mark} />
            `,
          )}
        </div>
      </article>
    </dialog>
  `;
}

/** One image with its parameters. Those that differ from another image's are marked. */
function Side({ image, rows, index, onmark }) {
  return html`
    <section aria-label=${image.title || `Picture ${index + 1}`}>
      <figure class=${image.hidden ? "rejected" : null}>
        <img
          src=${image.links?.picture} width=${image.width} height=${image.height}
          alt=${image.alt_text || image.title || "A picture"}
        />
        <figcaption>${image.title || "Untitled"}${image.hidden && " (rejected)"}</figcaption>
      </figure>
      <div class="row">
        <${MarkButtons} image=${image} onmark=${(change) => onmark(image, change)} />
      </div>
      ${rows.map(
        ({ name, values, differs }) => html`
          <dl key=${name} class=${differs ? "differs" : null}>
            <dt>${name}${differs && html`<span class="unseen"> differs</span>`}</dt>
            <dd>${values[index] || "–"}</dd>
          </dl>
        `,
      )}
    </section>
  `;
}
