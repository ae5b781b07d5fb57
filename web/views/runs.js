/** The view of the runs and batches, newest first. It refreshes itself. */

import { goTo, showFilters } from "../client/address.js";
import { explain } from "../client/api.js";
import { keepRequestAsDraft } from "../client/drafts.js";
import { many, money, span, when } from "../client/format.js";
import { keepFresh } from "../client/run_polling.js";
import { Button, ButtonLink, html, useEffect, useState } from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { note, say } from "../parts/notices.js";
import { Empty } from "../parts/placeholders.js";
import { LinesBar, Thumbnail } from "../parts/rows.js";
import { STATUS, nameOf, outcomeOf } from "../parts/run_steps.js";

const PAGE = 20;
const KINDS = { runs: "Runs", batches: "Batches" };

export function View({ api, signal, query }) {
  const [filters, setFilters] = useState({
    kind: Object.hasOwn(KINDS, query.get("kind")) ? query.get("kind") : "runs",
    status: Object.hasOwn(STATUS, query.get("status")) ? query.get("status") : "",
  });
  const { kind, status } = filters;
  function change(values) {
    const changed = { ...filters, ...values };
    const given = Object.entries(changed).filter(([, value]) => value && value !== "runs");
    showFilters("runs", given);
    setFilters(changed);
  }
  return html`
    <h1 tabindex="-1">Runs</h1>
    <p class="lead">History of everything created, deleted and restored.</p>
    <${Filters} filters=${filters} onchange=${change} />
    <${List} key=${`${kind} ${status}`} filters=${filters} api=${api} signal=${signal} />
  `;
}

function Filters({ filters: { kind, status }, onchange }) {
  const choice = (value, words, chosen) => html`
    <option key=${value} value=${value} selected=${value === chosen}>${words}</option>
  `;
  const select = (name, label, chosen, options) => html`
    <div class="field">
      <label for="by-${name}">${label}</label>
      <select id="by-${name}" onchange=${(event) => onchange({ [name]: event.target.value })}>
        ${options.map(([value, words]) => choice(value, words, chosen))}
      </select>
    </div>
  `;
  return html`
    <search class="bar filters">
      ${select("kind", "Kind", kind, Object.entries(KINDS))}
      ${select("status", "State", status, [["", "Any state"], ...Object.entries(STATUS)])}
    </search>
  `;
}

/** Reads a page of runs or batches. */
async function readPage(api, { kind, status }, cursor, signal) {
  const query = { limit: PAGE, status, cursor };
  if (kind === "runs") {
    const page = await api.runs(query, signal);
    return { items: page.runs, cursor: page.cursor };
  }
  const page = await api.batches(query, signal);
  const items = page.batches.map((batch) => ({ ...batch, id: batch.execution }));
  return { items, cursor: page.cursor };
}

function List({ filters, api, signal }) {
  const list = usePagedList(
    (cursor, until) => readPage(api, filters, cursor, until),
    signal,
  );
  const trouble = useFreshness(list, signal);
  const [rows, readMore] = useFocusOnMore(list);
  const row = (item) =>
    filters.kind === "runs"
      ? html`<${RunRow} key=${item.id} run=${item} api=${api} list=${list} />`
      : html`<${BatchRow} key=${item.id} batch=${item} />`;
  return html`
    <p class="wrong" role="status">${trouble && `${explain(trouble)} Easel keeps trying.`}</p>
    <ul class="rows wide" ref=${rows}>${list.items.map(row)}</ul>
    <div class="end">
      <${ListEnd} list=${list} loading="Loading runs…" more="More" readMore=${readMore}>
        <${Nothing} filters=${filters} />
      <//>
    </div>
  `;
}

/** Keeps the list fresh while it is shown. Returns why that fails at the moment, or null. */
function useFreshness(list, signal) {
  const [trouble, setTrouble] = useState(null);
  useEffect(() => {
    const left = new AbortController();
    const isBusy = () => list.items.some(({ status }) => status === "running");
    keepFresh(list, {
      isBusy,
      signal: AbortSignal.any([signal, left.signal]),
      ontrouble: setTrouble,
    }).catch((error) => signal.aborted || left.signal.aborted || setTrouble(error));
    return () => left.abort();
  }, []);
  return trouble;
}

function Nothing({ filters: { kind, status } }) {
  if (kind === "batches")
    return html`
      <${Empty} title="No batches" text="A batch makes many pictures from a file of requests." />
    `;
  if (status)
    return html`<${Empty} title="No runs in this state" text="Choose another state." />`;
  return html`
    <${Empty} title="No runs yet" text="Each click on Make starts a run. You can follow it here.">
      <${ButtonLink} href="#make">Make a picture<//>
    <//>
  `;
}

function RunRow({ run, api, list }) {
  const [look, outcome] = outcomeOf(run);
  const facts = [
    when(run.started),
    run.status === "running" ? `running for ${span(run.started)}` : span(run.started, run.ended),
    run.action === "create" && run.count > 1 && many(run.count, "picture"),
  ];
  const price = run.action === "create" && !run.dry_run && run.status !== "running";
  return html`
    <li>
      <${Thumbnail} source=${run.thumbnail} />
      <div class="main">
        <a href="#run/${encodeURIComponent(run.id)}">${nameOf(run)}</a>
        <small>${facts.filter(Boolean).join(" · ")}</small>
        ${run.error && html`<small class="wrong">${run.error.title}</small>`}
      </div>
      <span class="badge ${look}">${outcome}</span>
      <span class="price">${price && money(run.cost_usd)}</span>
      <span class="deed"><${RowAction} run=${run} api=${api} list=${list} /></span>
    </li>
  `;
}

/** Resumes a run, or fills the form with its request if only another request helps. */
function RowAction({ run, api, list }) {
  const [isBusy, setBusy] = useState(false);
  const isShort = run.refused > 0 || !["running", "succeeded"].includes(run.status);
  if (!run.can_redrive && !(isShort && run.action === "create")) return null;
  async function act(call) {
    if (isBusy) return;
    setBusy(true);
    try {
      await call();
    } catch (error) {
      note(explain(error), { failed: true });
    }
    setBusy(false);
  }
  const resume = () =>
    act(async () => {
      await api.redrive(run.id);
      say("Resuming. You pay only for what is missing.");
      await list.refresh();
    });
  const retry = () =>
    act(async () => {
      const { request } = await api.run(run.id);
      if (!request) throw new Error("Its request cannot be used again.");
      keepRequestAsDraft(request);
      goTo("#make");
    });
  const name = nameOf(run);
  const [words, icon, call] = run.can_redrive
    ? ["Resume", "play", resume]
    : ["Change and try again", "brush", retry];
  return html`
    <${Button}
      onclick=${call}
      icon=${icon}
      class="secondary"
      aria-label="${words}: ${name}"
      aria-disabled=${isBusy ? "true" : null}
    >
      ${words}
    <//>
  `;
}

function BatchRow({ batch }) {
  const { name, lines, status } = batch;
  const facts = [
    when(batch.started),
    batch.ended ? span(batch.started, batch.ended) : `running for ${span(batch.started)}`,
    lines && `${lines.succeeded} of ${many(lines.total, "line")}`,
    lines?.failed > 0 && `${lines.failed} failed`,
  ];
  const words = html`<span>${name ?? batch.execution}</span>`;
  const isEstimate = batch.dry_run && status === "succeeded";
  return html`
    <li>
      <div class="main">
        ${name ? html`<a href="#batch/${encodeURIComponent(name)}">${words}</a>` : words}
        <small>${facts.filter(Boolean).join(" · ")}</small>
        ${batch.error && html`<small class="wrong">${batch.error.title}</small>`}
        ${status === "running" && lines && html`<${LinesBar} lines=${lines} />`}
      </div>
      <span class="badge ${isEstimate ? "estimate" : status}">
        ${isEstimate ? "Estimate" : STATUS[status]}
      </span>
      <span class="price">${batch.cost_usd != null && money(batch.cost_usd)}</span>
    </li>
  `;
}
