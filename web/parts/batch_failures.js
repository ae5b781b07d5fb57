/** The lines of a batch that cannot be made, that failed or were refused, with reasons. */

import { explain } from "../client/api.js";
import { PagedList } from "../client/paged_list.js";
import { Button, html, useEffect, useReducer, useState } from "./elements.js";
import { readFiltered } from "./fresh_list.js";

const PAGE = 20;

/**
 * Shows the failures of one start of a batch, or nothing if it has none.
 *
 * They are read again when `version` changes, such as the number of failed lines. `onread` is called
 * with the run ids of the lines that are shown.
 */
export function BatchFailures({ name, execution, version, api, signal, title, onread }) {
  const [, redraw] = useReducer((number) => number + 1, 0);
  const [list] = useState(() => new PagedList({ signal, onchange: redraw }));
  list.readPage = (cursor, until) => {
    const read = async (from) => {
      const query = { execution, limit: PAGE, cursor: from };
      const { failures, cursor: rest } = await api.batchFailures(name, query, until);
      return { items: failures.map(withId), cursor: rest };
    };
    return readFiltered(read, cursor);
  };
  useEffect(() => {
    if (!list.hasRead) list.readMore();
    else list.refresh().catch(() => {}); // it is read again with the next change
  }, [version]);
  useEffect(() => onread?.(new Set(list.items.map(({ run_id: id }) => id))), [list.items]);
  if (!list.items.length && !list.error) return null;
  return html`
    <section aria-labelledby="failures" class="failures">
      <h2 id="failures">${title}</h2>
      <ul class="rows wide">
        ${list.items.map((failure) => html`<${Failure} key=${failure.id} failure=${failure} />`)}
      </ul>
      ${list.error && html`<p class="wrong" role="status">${explain(list.error)}</p>`}
      ${(list.cursor || list.error) &&
      html`
        <div class="end">
          <${Button} onclick=${() => list.readMore()} class="secondary">More failed lines<//>
        </div>
      `}
    </section>
  `;
}

const withId = (failure) => ({ ...failure, id: `${failure.line} ${failure.run_id}` });

function Failure({ failure: { line, run_id: runId, url, error, ...reason } }) {
  const label = line == null ? runId : `Line ${line}`;
  const { title, message, what_to_do: whatToDo } = reason;
  return html`
    <li>
      <div class="main">
        ${url
          ? html`<a href="#run/${encodeURIComponent(runId)}">${label}</a>`
          : html`<strong>${label}</strong>`}
        <span class="wrong">${title}</span>
        <small>${whatToDo}</small>
        <small class="cause">${error}: ${message}</small>
      </div>
    </li>
  `;
}
