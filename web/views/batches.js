/** The view of the batches, newest first. It refreshes itself. */

import { many, money, span, when } from "../client/format.js";
import { loadListStyle } from "../client/styles.js";
import { Button, ButtonLink, html } from "../parts/elements.js";
import { readFiltered, useFreshness } from "../parts/fresh_list.js";
import { DayFilters, SelectFilter, Tabs, isDay, timesOf, useFilters } from "../parts/list_filters.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { Empty } from "../parts/placeholders.js";
import { LinesBar } from "../parts/rows.js";
import { STATUS } from "../parts/run_steps.js";

const PAGE = 20;

/** Loads what the view needs. */
export const load = loadListStyle;

export function View({ api, signal, query }) {
  const [filters, change] = useFilters("batches", query, {
    status: (value) => Object.hasOwn(STATUS, value),
    from: isDay,
    to: isDay,
  });
  const states = [["", "Any state"], ...Object.entries(STATUS)];
  return html`
    <div class="heading">
      <h1 tabindex="-1">Batches</h1>
      ${api.mayMake && html`<${ButtonLink} href="#new-batch" icon="add">New batch<//>`}
    </div>
    <p class="lead">A batch makes many pictures from a file, one for each line.</p>
    <${Tabs} current="batches" />
    <search class="bar filters many">
      <${SelectFilter}
        name="status" label="State" value=${filters.status} options=${states} onchange=${change}
      />
      <${DayFilters} filters=${filters} onchange=${change} />
    </search>
    <${List}
      key=${JSON.stringify(filters)} filters=${filters} api=${api} signal=${signal}
      onclear=${() => change({ status: "", from: "", to: "" })}
    />
  `;
}

function List({ filters, api, signal, onclear }) {
  const list = usePagedList((cursor, until) => {
    const read = async (from) => {
      const values = { ...filters, ...timesOf(filters) };
      const page = await api.batches({ limit: PAGE, ...values, cursor: from }, until);
      const items = page.batches.map((batch) => ({ ...batch, id: batch.execution }));
      return { items, cursor: page.cursor };
    };
    return readFiltered(read, cursor);
  }, signal);
  const trouble = useFreshness(list, signal);
  const [rows, readMore] = useFocusOnMore(list);
  return html`
    ${trouble}
    <ul class="rows wide" ref=${rows}>
      ${list.items.map((batch) => html`<${Row} key=${batch.id} batch=${batch} />`)}
    </ul>
    <div class="end">
      <${ListEnd} list=${list} loading="Loading batches…" more="More" readMore=${readMore}>
        ${Object.values(filters).some(Boolean)
          ? html`
              <${Empty}
                title="No such batches" text="No batch of the last 90 days matches the filters."
              >
                <${Button} onclick=${onclear} class="secondary">Show all batches<//>
              <//>
            `
          : html`
              <${Empty} title="No batches" text="A batch makes many pictures from a file.">
                ${api.mayMake && html`<${ButtonLink} href="#new-batch">New batch<//>`}
              <//>
            `}
      <//>
    </div>
  `;
}

function Row({ batch }) {
  const { name, lines, status, execution } = batch;
  const facts = [
    when(batch.started),
    batch.ended ? span(batch.started, batch.ended) : `running for ${span(batch.started)}`,
    lines && `${lines.succeeded} of ${many(lines.total, "line")}`,
    lines?.failed > 0 && `${lines.failed} failed`,
  ];
  const words = html`<span>${name ?? execution}</span>`;
  const isEstimate = batch.dry_run && status === "succeeded";
  const query = new URLSearchParams({ execution });
  return html`
    <li>
      <div class="main">
        ${name ? html`<a href="#batch/${encodeURIComponent(name)}?${query}">${words}</a>` : words}
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
