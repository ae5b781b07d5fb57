/** Resumes the selected runs, and shows why some of them were not resumed. */

import { explain } from "../client/api.js";
import { many } from "../client/format.js";
import { Button, html, useState } from "./elements.js";
import { note, say } from "./notices.js";

const AT_ONCE = 100; // runs that the API takes in one call

/** `ids` are the runs that can be resumed, and `selected` is the set of those that are chosen. */
export function ResumeMany({ ids, selected, onselect, list, api }) {
  const [isBusy, setBusy] = useState(false);
  const [failed, setFailed] = useState([]);
  if (!ids.length && !failed.length) return null;
  const isAll = ids.length > 0 && ids.every((id) => selected.has(id));
  async function resume() {
    if (isBusy) return;
    if (!selected.size) return say("Select some runs first.");
    setBusy(true);
    const left = [...selected];
    const outcomes = [];
    try {
      while (left.length) outcomes.push(...(await api.redriveMany(left.splice(0, AT_ONCE))).runs);
    } catch (error) {
      note(explain(error), { failed: true });
    }
    const resumed = outcomes.filter((run) => run.resumed);
    const names = new Map(list.items.map((run) => [run.id, run.title]));
    setFailed(
      outcomes
        .filter((run) => !run.resumed)
        .map(({ id, error }) => ({ id, name: names.get(id) || id, error })),
    );
    const runs = many(resumed.length, "run");
    if (resumed.length) say(`Resuming ${runs}. You pay only for what is missing.`);
    onselect(new Set());
    await list.refresh().catch(() => {}); // it is refreshed again soon
    setBusy(false);
  }
  return html`
    ${ids.length > 0 &&
    html`
      <section class="bulk" aria-label="Runs that can be resumed">
        <label>
          <input
            type="checkbox"
            checked=${isAll}
            onchange=${({ target }) => onselect(new Set(target.checked ? ids : []))}
          />
          Select all ${ids.length} that can be resumed
        </label>
        <${Button}
          onclick=${resume}
          icon="play"
          class="secondary"
          aria-disabled=${isBusy || !selected.size ? "true" : null}
        >
          ${selected.size ? `Resume selected (${selected.size})` : "Resume selected"}
        <//>
      </section>
    `}
    ${failed.length > 0 && html`<${NotResumed} failed=${failed} onclose=${() => setFailed([])} />`}
  `;
}

function NotResumed({ failed, onclose }) {
  return html`
    <div class="callout failed" role="alert">
      <strong>${many(failed.length, "run")} could not be resumed</strong>
      <ul>
        ${failed.map(
          ({ id, name, error }) => html`
            <li key=${id}>
              <a href="#run/${encodeURIComponent(id)}">${name}</a>: ${error.title}.${" "}
              ${error.what_to_do}
            </li>
          `,
        )}
      </ul>
      <${Button} onclick=${onclose} class="quiet">Dismiss<//>
    </div>
  `;
}
