/** The view of one batch: its progress, its report, and its lines. */

import { many, money, span, upTo, when } from "../client/format.js";
import { keepFresh } from "../client/run_polling.js";
import { OutsideLink, html, useEffect, useState } from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { Callout, Empty } from "../parts/placeholders.js";
import { LinesBar, Thumbnail } from "../parts/rows.js";
import { STATUS } from "../parts/run_steps.js";

const PAGE = 20;

/** Reads what the view starts with. */
export const load = ({ api, signal, id }) => api.batch(id, signal);

export function View({ api, signal, loaded }) {
  const [batch, setBatch] = useState(loaded);
  const { name, status, lines, error } = batch;
  const list = usePagedList(async (cursor, until) => {
    const page = await api.batchLines(name, { cursor, limit: PAGE }, until);
    return { items: page.lines.map((line) => ({ ...line, id: line.run_id })), cursor: page.cursor };
  }, signal);
  useEffect(() => {
    if (status !== "running") return;
    const left = new AbortController();
    const both = {
      refresh: async () => {
        await list.refresh();
        setBatch(await api.batch(name, left.signal));
      },
    };
    keepFresh(both, {
      isBusy: () => true,
      signal: AbortSignal.any([signal, left.signal]),
      ontrouble: () => {},
    }).catch(() => {});
    return () => left.abort();
  }, [status]);
  const [rows, readMore] = useFocusOnMore(list);
  const problems = new Map(
    [...(batch.checked?.problems ?? []), ...(batch.report?.failures ?? [])].map((problem) => [
      problem.line,
      problem,
    ]),
  );
  return html`
    <div class="heading">
      <h1 tabindex="-1">${name}</h1>
      <span class="badge ${status}">${STATUS[status]}</span>
    </div>
    <${Facts} batch=${batch} />
    ${status === "running" && lines && html`<${LinesBar} lines=${lines} />`}
    ${error &&
    html`
      <${Callout}
        title=${error.title} code=${error.error} message=${error.message}
        whatToDo=${error.what_to_do}
      />
    `}
    ${batch.console_url &&
    html`<p><${OutsideLink} href=${batch.console_url}>Open in the Step Functions console<//></p>`}
    <section aria-labelledby="lines">
      <h2 id="lines">Lines</h2>
      <ul class="rows wide" ref=${rows}>
        ${list.items.map(
          (line) => html`
            <${Line}
              key=${line.id} line=${line} problem=${problems.get(line.line)} status=${status}
            />
          `,
        )}
      </ul>
      <div class="end">
        <${ListEnd} list=${list} loading="Loading lines…" more="More lines" readMore=${readMore}>
          <${Empty} title="No lines yet" text="They appear once the file is checked." />
        <//>
      </div>
    </section>
  `;
}

function Facts({ batch: { lines, checked, report, ...batch } }) {
  const facts = [
    span(batch.started, batch.ended),
    `Started ${when(batch.started)}`,
    checked && many(checked.lines, "line"),
    lines && `${lines.succeeded} done`,
    lines?.running > 0 && `${lines.running} running`,
    lines?.failed > 0 && `${lines.failed} failed`,
    report && `${many(report.stored, "picture")} stored`,
    report?.refused > 0 && `${report.refused} refused`,
    report
      ? `Cost ${money(report.cost_usd)}`
      : checked?.estimate_usd != null && `Up to ${upTo(checked.estimate_usd)}`,
  ];
  return html`<p class="facts">${facts.map((fact) => fact && html`<span>${fact}</span>`)}</p>`;
}

function Line({ line, problem, status }) {
  const [look, outcome] = outcomeOf(line, problem, status);
  const words = line.title ?? `Line ${line.line}`;
  return html`
    <li>
      <${Thumbnail} source=${line.thumbnail} />
      <div class="main">
        ${line.is_started
          ? html`<a href="#run/${encodeURIComponent(line.run_id)}">${words}</a>`
          : html`<span>${words}</span>`}
        <small>Line ${line.line}</small>
        ${problem && html`<small class="wrong">${problem.message}</small>`}
      </div>
      <span class="badge ${look}">${outcome}</span>
      <span class="price">${line.is_started && money(line.cost_usd)}</span>
    </li>
  `;
}

/** Returns a line's outcome, as the class and the words of its badge. */
function outcomeOf({ is_started: isStarted, count, stored, refused }, problem, status) {
  if (isStarted && stored === count) return ["succeeded", "Done"];
  if (isStarted && stored + refused === count)
    return stored ? ["partly", `${stored} of ${count}`] : ["refused", "Refused"];
  if (problem) return ["failed", "Failed"];
  if (status === "running") return isStarted ? ["running", "Running"] : ["", "Waiting"];
  return ["", isStarted ? "Not finished" : "Not started"];
}
