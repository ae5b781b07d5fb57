/** The view of one batch: its progress, its lines and failures, and its actions. */

import { goTo } from "../client/address.js";
import { explain } from "../client/api.js";
import { many, money, span, upTo, when } from "../client/format.js";
import { keepFresh } from "../client/run_polling.js";
import { loadListStyle } from "../client/styles.js";
import { BatchFailures } from "../parts/batch_failures.js";
import { Button, ButtonLink, OutsideLink, html, useEffect, useState } from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { note, say } from "../parts/notices.js";
import { Callout, Empty } from "../parts/placeholders.js";
import { LinesBar, Thumbnail } from "../parts/rows.js";
import { STATUS } from "../parts/run_steps.js";
import { StopButton } from "../parts/run_controls.js";

const PAGE = 20;

/** Reads what the view starts with. The address may name one start instead of the latest. */
export async function load({ api, signal, id, query }) {
  const read = api.batch(id, { execution: query.get("execution") }, signal);
  await loadListStyle();
  return read;
}

export function View({ api, signal, loaded }) {
  const [batch, setBatch] = useState(loaded);
  const [trouble, setTrouble] = useState(null);
  const [failed, setFailed] = useState(new Set()); // run ids, as far as the failures are read
  const { name, status, lines, error, execution, checked, report } = batch;
  const list = usePagedList(async (cursor, until) => {
    const page = await api.batchLines(name, { execution, cursor, limit: PAGE }, until);
    return { items: page.lines.map((line) => ({ ...line, id: line.run_id })), cursor: page.cursor };
  }, signal);
  useEffect(() => {
    if (status !== "running") return;
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    const both = {
      refresh: async () => {
        const now = await api.batch(name, { execution }, until);
        if (now.checked) await (list.items.length ? list.refresh() : list.restart());
        if (now.status !== "running") say(`Batch: ${STATUS[now.status]}.`);
        setBatch(now);
      },
    };
    keepFresh(both, { isBusy: () => true, signal: until, ontrouble: setTrouble }).catch(
      (problem) => until.aborted || setTrouble(problem),
    );
    return () => ended.abort();
  }, [status]);
  const [rows, readMore] = useFocusOnMore(list);
  const isEstimate = batch.dry_run && status === "succeeded";
  const version = `${status} ${checked?.bad} ${lines?.failed} ${report?.failed}`;
  return html`
    <div class="heading">
      <h1 tabindex="-1">${name}</h1>
      <span class="badge ${isEstimate ? "estimate" : status}">
        ${isEstimate ? "Estimate" : STATUS[status]}
      </span>
    </div>
    <${Facts} batch=${batch} />
    ${status === "running" && lines && html`<${LinesBar} lines=${lines} />`}
    <p class="wrong" role="status">${trouble && `${explain(trouble)} Easel keeps trying.`}</p>
    ${error &&
    html`
      <${Callout}
        title=${error.title} code=${error.error} message=${error.message}
        whatToDo=${error.what_to_do}
      />
    `}
    ${api.mayMake &&
    html`<${Actions} batch=${batch} api=${api} signal=${signal} onchange=${setBatch} />`}
    <${BatchFailures}
      name=${name} execution=${execution} version=${version} api=${api} signal=${signal}
      title="Lines that failed" onread=${setFailed}
    />
    <section aria-labelledby="lines">
      <h2 id="lines">Lines</h2>
      <ul class="rows wide" ref=${rows}>
        ${list.items.map(
          (line) => html`
            <${Line} key=${line.id} line=${line} isFailed=${failed.has(line.id)} batch=${batch} />
          `,
        )}
      </ul>
      <div class="end">
        <${ListEnd} list=${list} loading="Loading lines…" more="More lines" readMore=${readMore}>
          <${Empty} title="No lines" text=${noLines(batch)} />
        <//>
      </div>
    </section>
  `;
}

const noLines = ({ status, checked }) =>
  status === "running" && !checked
    ? "They appear once the file is checked."
    : "The lines of a batch are listed for 30 days.";

function Facts({ batch: { lines, checked, report, cost_usd: cost, ...batch } }) {
  const bound = checked?.estimate_usd != null && `Up to ${upTo(checked.estimate_usd)}`;
  const isRunning = batch.status === "running";
  const facts = [
    span(batch.started, batch.ended),
    `Started ${when(batch.started)}`,
    checked && many(checked.lines, "line"),
    lines && `${lines.succeeded} done`,
    lines?.running > 0 && isRunning && `${lines.running} running`,
    lines?.failed > 0 && `${lines.failed} failed`,
    checked?.bad > 0 && `${checked.bad} cannot be made`,
    report && `${many(report.stored, "picture")} stored`,
    report?.refused > 0 && `${report.refused} refused`,
    batch.economy && "Economy",
    (isRunning || batch.dry_run) && bound,
    cost != null && (isRunning ? `${money(cost)} so far` : `Cost ${money(cost)}`),
  ];
  return html`<p class="facts">${facts.map((fact) => fact && html`<span>${fact}</span>`)}</p>`;
}

function Actions({ batch, api, signal, onchange }) {
  const { name, can_stop: canStop, can_resume: canResume, console_url: consoleUrl } = batch;
  const [isBusy, setBusy] = useState(false);
  async function act(call, words) {
    if (isBusy) return;
    setBusy(true);
    try {
      const now = await call(name);
      say(words);
      if (now.execution === batch.execution) onchange(now);
      else goTo(addressOf(now));
    } catch (error) {
      if (!signal.aborted) note(explain(error), { failed: true });
    }
    setBusy(false);
  }
  const resume = () => act(api.resumeBatch, "Resuming. You pay only for what is missing.");
  return html`
    <div class="row deeds">
      ${canStop &&
      html`<${StopButton} onstop=${() => act(api.stopBatch, "Stopped.")}>Stop batch<//>`}
      ${canResume &&
      html`
        <${Button} onclick=${resume} icon="play" aria-disabled=${isBusy ? "true" : null}>
          Resume batch
        <//>
      `}
      <${ButtonLink} href="#batches" class="secondary">All batches<//>
      ${consoleUrl &&
      html`<${OutsideLink} href=${consoleUrl}>Open in the Step Functions console<//>`}
    </div>
  `;
}

const addressOf = ({ name, execution }) =>
  `#batch/${encodeURIComponent(name)}?${new URLSearchParams({ execution })}`;

function Line({ line, isFailed, batch: { status } }) {
  const [look, outcome] = outcomeOf(line, isFailed, status);
  const words = line.title ?? `Line ${line.line}`;
  return html`
    <li>
      <${Thumbnail} source=${line.thumbnail} />
      <div class="main">
        ${line.is_started
          ? html`<a href="#run/${encodeURIComponent(line.run_id)}">${words}</a>`
          : html`<span>${words}</span>`}
        <small>Line ${line.line}</small>
      </div>
      <span class="badge ${look}">${outcome}</span>
      <span class="price">${line.is_started && money(line.cost_usd)}</span>
    </li>
  `;
}

/** Returns a line's outcome, as the class and the words of its badge. */
function outcomeOf({ is_started: isStarted, count, stored, refused }, isFailed, status) {
  if (isStarted && stored === count) return ["succeeded", "Done"];
  if (isStarted && stored + refused === count)
    return stored ? ["partly", `${stored} of ${count}`] : ["refused", "Refused"];
  if (isFailed) return ["failed", "Failed"];
  if (status === "running") return isStarted ? ["running", "Running"] : ["", "Waiting"];
  return ["", isStarted ? "Not finished" : "Not started"];
}
