/** The view of what a month cost, by day, folder, tag, person, model or trigger, and its budgets. */

import { loadListStyle } from "../client/styles.js";
import { exact, left, many, money } from "../client/format.js";
import { Budgets } from "../parts/budgets.js";
import { Button, html, useEffect, useReducer, useState } from "../parts/elements.js";
import { SelectFilter, useFilters } from "../parts/list_filters.js";
import { note, say } from "../parts/notices.js";
import { Empty, Failed, Loading } from "../parts/placeholders.js";
import { explain } from "../client/api.js";

const BY = {
  folder: "Folder",
  tag: "Tag",
  person: "Person",
  model: "Model",
  trigger: "Started by",
  day: "Day",
};
const DEFAULT_BY = "folder";
const TRIGGERS = {
  page: "The page",
  api: "The API",
  batch: "A batch",
  schedule: "A schedule",
  console: "The console",
};
/** The words for what has no value, such as images without a tag. */
const NONE = { tag: "No tag", person: "No person (console or schedule)" };
const MONTHS = 12; // that the picker offers
const LONGEST = 1024;
const monthName = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric" });
const isMonth = (value) => /^20\d\d-(0[1-9]|1[0-2])$/.test(value);
const isValue = (value) => value.length > 0 && value.length <= LONGEST;

/** Reads what the view starts with. */
export async function load({ api, signal }) {
  const nobody = (error) => {
    if (signal.aborted) throw error;
    return { people: [] };
  };
  const [budgets, { people }] = await Promise.all([
    api.budgets(signal),
    api.people(signal).catch(nobody),
    loadListStyle(),
  ]);
  return { budgets, people };
}

export function View({ api, signal, query, loaded: { budgets: read, people } }) {
  const [budgets, setBudgets] = useState(read);
  const values = Object.fromEntries(Object.keys(BY).map((name) => [name, isValue]));
  const known = { month: isMonth, by: (value) => Object.hasOwn(BY, value), ...values };
  const [filters, change] = useFilters("spending", query, known);
  const current = budgets.month.month;
  const month = filters.month || current;
  const names = new Map(people.map(({ id, name }) => [id, name]));
  const asked = { ...filters, month, by: filters.by || DEFAULT_BY };
  return html`
    <h1 tabindex="-1">Spending</h1>
    <search class="bar filters many">
      <${SelectFilter}
        name="month" label="Month" value=${month} options=${monthsFor(current, month)}
        onchange=${change}
      />
      <${SelectFilter}
        name="by" label="Group by" value=${asked.by} options=${Object.entries(BY)}
        onchange=${change}
      />
    </search>
    <${Chosen} filters=${filters} names=${names} onchange=${change} />
    <${Report}
      key=${JSON.stringify(asked)} asked=${asked} names=${names} api=${api} signal=${signal}
      budget=${month === current ? budgets.month : null} onchange=${change}
    />
    <${Budgets} budgets=${budgets} people=${people} api=${api} onchange=${setBudgets} />
  `;
}

/** Returns the last months, and the shown one if it is older, each with its name. */
function monthsFor(current, shown) {
  const [year, number] = current.split("-").map(Number);
  const months = Array.from({ length: MONTHS }, (_, ago) => {
    const date = new Date(Date.UTC(year, number - 1 - ago, 15));
    return date.toISOString().slice(0, 7);
  });
  if (!months.includes(shown)) months.push(shown);
  return months.map((month) => [month, monthName.format(new Date(`${month}-15T12:00Z`))]);
}

/** Returns a value of a row or a filter in words. */
function wordsOf(by, value, names) {
  if (value === null) return NONE[by] ?? "None";
  if (by === "person") return names.get(value) ?? `Person ${value}`;
  return (by === "trigger" && TRIGGERS[value]) || value;
}

/** The filters that rows were clicked for, each with a button that removes it. */
function Chosen({ filters, names, onchange }) {
  const chosen = Object.keys(BY).filter((name) => filters[name]);
  if (!chosen.length) return null;
  const chip = (name) => {
    const words = `${BY[name]}: ${wordsOf(name, filters[name], names)}`;
    return html`
      <li key=${name}>
        <${Button}
          onclick=${() => onchange({ [name]: "" })} icon="cross" class="secondary"
          aria-label="Remove the filter ${words}"
        >
          ${words}
        <//>
      </li>
    `;
  };
  return html`<ul class="chips-row chosen" aria-label="Filters">${chosen.map(chip)}</ul>`;
}

function Report({ asked, names, api, signal, budget, onchange }) {
  const [answer, setAnswer] = useState({});
  const [round, retry] = useReducer((number) => number + 1, 0);
  useEffect(() => {
    const left = new AbortController();
    const either = AbortSignal.any([signal, left.signal]);
    setAnswer({});
    api
      .spending(asked, either)
      .then((report) => setAnswer({ report }))
      .catch((error) => either.aborted || setAnswer({ error }));
    return () => left.abort();
  }, [round]);
  const { report, error } = answer;
  if (error) return html`<${Failed} error=${error} onretry=${retry} />`;
  if (!report) return html`<${Loading}>Adding up…<//>`;
  return html`
    <section aria-label="What was spent" class="spent">
      <${Total} report=${report} budget=${budget} />
      ${report.rows.length
        ? html`
            ${asked.by === "day" && html`<${Days} report=${report} />`}
            <${Rows} report=${report} names=${names} filters=${asked} onchange=${onchange} />
          `
        : html`<${Empty} title="Nothing was spent" text="No charge of this month matches." />`}
      <${Download} asked=${asked} api=${api} />
    </section>
  `;
}

/** The sum, and what the month's budget has left. */
function Total({ report, budget }) {
  const { total_micro_usd: micro, unattributed_usd: rest } = report;
  return html`
    <p class="total" role="status">
      <strong title=${exact(micro)}>${money(report.total_usd)}</strong> in total
      ${budget &&
      html`
        <span>
          The month’s budget is ${money(budget.cap_usd)}: ${money(budget.spent_usd)} spent,${" "}
          ${money(budget.reserved_usd)} reserved, ${left(budget.left_usd)} left.
        </span>
      `}
    </p>
    ${rest !== 0 &&
    html`
      <p class="callout">
        The budget has spent ${money(rest)} more than these rows. An older version of Easel spent it
        and did not record what for.
      </p>
    `}
  `;
}

function Rows({ report: { by, rows, total_usd: total, total_micro_usd: micro }, ...shared }) {
  const most = Math.max(...rows.map(({ micro_usd: usd }) => usd), 1);
  return html`
    <table class="money">
      <caption class="unseen">What was spent, by ${BY[by].toLowerCase()}</caption>
      <thead>
        <tr><th scope="col">${BY[by]}</th><th scope="col" class="sum">Cost</th><td></td></tr>
      </thead>
      <tbody>
        ${rows.map((row) => html`<${Row} key=${row.value} row=${row} by=${by} most=${most} ...${shared} />`)}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Total</th>
          <td class="sum" title=${exact(micro)}>${money(total)}</td>
          <td class="hint">${by === "tag" && "A picture with two tags is in both rows."}</td>
        </tr>
      </tfoot>
    </table>
  `;
}

function Row({ row: { value, usd, micro_usd: micro, charges }, by, most, names, filters, onchange }) {
  const words = wordsOf(by, value, names);
  /** Shows what this row consists of, by an attribute that is not filtered yet. */
  function filter() {
    const next = Object.keys(BY).find((name) => name !== by && !filters[name]) ?? DEFAULT_BY;
    onchange({ [by]: value, by: next });
    say(`Only ${words}, by ${BY[next].toLowerCase()}.`);
  }
  return html`
    <tr>
      <th scope="row">
        ${value === null
          ? words
          : html`<button type="button" class="plain" onclick=${filter}>${words}</button>`}
      </th>
      <td class="sum" title="${exact(micro)} in ${many(charges, "charge")}">${money(usd)}</td>
      <td><span class="share" style=${{ "--share": Math.max(0, micro) / most }}></span></td>
    </tr>
  `;
}

/** The days as a bar chart. The table below it is its text. */
function Days({ report: { month, rows } }) {
  const [year, number] = month.split("-").map(Number);
  const days = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const byDay = new Map(rows.map(({ value, micro_usd: micro }) => [Number(value?.slice(-2)), micro]));
  const most = Math.max(...byDay.values(), 1);
  const bars = Array.from({ length: days }, (_, index) => {
    const micro = Math.max(0, byDay.get(index + 1) ?? 0);
    const height = micro ? Math.max(2, (micro / most) * 100) : 0.5;
    return html`
      <rect x=${index * 10 + 1} y=${100 - height} width="8" height=${height}>
        <title>${index + 1}: ${exact(micro)}</title>
      </rect>
    `;
  });
  return html`
    <svg class="days" viewBox="0 0 ${days * 10} 100" preserveAspectRatio="none" aria-hidden="true">
      ${bars}
    </svg>
  `;
}

/** Saves the table as a file. A link cannot, because the API needs the token. */
function Download({ asked, api }) {
  const [isBusy, setBusy] = useState(false);
  async function download() {
    if (isBusy) return;
    setBusy(true);
    try {
      const url = URL.createObjectURL(await api.spendingFile(asked));
      const link = document.createElement("a");
      Object.assign(link, { href: url, download: `easel-${asked.month}-${asked.by}.csv` });
      link.click();
      URL.revokeObjectURL(url);
    } catch (error) {
      note(explain(error), { failed: true });
    }
    setBusy(false);
  }
  return html`
    <${Button} onclick=${download} icon="down" class="secondary" aria-disabled=${isBusy ? "true" : null}>
      Download CSV
    <//>
  `;
}
