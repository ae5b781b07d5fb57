/** The view of the runs, newest first. It refreshes itself, and resumes one or many. */

import { loadListStyle } from "../client/styles.js";
import { Button, ButtonLink, html, useEffect, useState } from "../parts/elements.js";
import { readFiltered, useFreshness } from "../parts/fresh_list.js";
import { DayFilters, SelectFilter, Tabs, isDay, timesOf, useFilters } from "../parts/list_filters.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { Empty } from "../parts/placeholders.js";
import { ResumeMany } from "../parts/resume_many.js";
import { RunRow } from "../parts/run_row.js";
import { STATUS } from "../parts/run_steps.js";

const PAGE = 20;
const KINDS = {
  create: "Created",
  delete: "Deleted",
  restore: "Restored",
  share: "Shared",
  move: "Moved",
};
const isPerson = (value) => /^[0-9a-f]{8}$/.test(value);

/** Reads whom the list can be filtered by. Without an answer, the filter offers fewer people. */
export async function load({ api, signal }) {
  const nobody = (error) => {
    if (signal.aborted) throw error;
    return { people: [] };
  };
  const [{ people }] = await Promise.all([api.people(signal).catch(nobody), loadListStyle()]);
  return people;
}

export function View({ api, signal, query, me: { person: me }, loaded: people }) {
  const [filters, change] = useFilters("runs", query, {
    status: (value) => Object.hasOwn(STATUS, value),
    kind: (value) => Object.hasOwn(KINDS, value),
    person: isPerson,
    from: isDay,
    to: isDay,
  });
  const names = new Map(people.map(({ id, name }) => [id, name]));
  return html`
    <h1 tabindex="-1">Runs</h1>
    <p class="lead">History of everything created, deleted and restored.</p>
    <${Tabs} current="runs" />
    <${Filters} filters=${filters} who=${{ me, people }} names=${names} onchange=${change} />
    <${List}
      key=${JSON.stringify(filters)} filters=${filters} names=${names} me=${me} api=${api}
      signal=${signal} onclear=${() => change({ status: "", kind: "", person: "", from: "", to: "" })}
    />
  `;
}

function Filters({ filters, who: { me, people }, names, onchange }) {
  const { person } = filters;
  const others = people.filter(({ id }) => id !== me).map(({ id, name }) => [id, name]);
  const isOther = person && person !== me && !names.has(person);
  const persons = [
    ["", "Anyone"],
    ...(me ? [[me, "Me"]] : []),
    ...others,
    ...(isOther ? [[person, "One person"]] : []),
  ];
  const select = (name, label, options) => html`
    <${SelectFilter}
      name=${name} label=${label} value=${filters[name]} options=${options} onchange=${onchange}
    />
  `;
  return html`
    <search class="bar filters many">
      ${select("status", "State", [["", "Any state"], ...Object.entries(STATUS)])}
      ${select("kind", "Kind", [["", "Any kind"], ...Object.entries(KINDS)])}
      ${persons.length > 1 && select("person", "Who", persons)}
      <${DayFilters} filters=${filters} onchange=${onchange} />
    </search>
  `;
}

function List({ filters, names, me, api, signal, onclear }) {
  const [selected, setSelected] = useState(() => new Set());
  const list = usePagedList((cursor, until) => {
    const read = async (from) => {
      const values = { ...filters, ...timesOf(filters) };
      const page = await api.runs({ limit: PAGE, ...values, cursor: from }, until);
      return { items: page.runs, cursor: page.cursor };
    };
    return readFiltered(read, cursor);
  }, signal);
  const trouble = useFreshness(list, signal);
  const [rows, readMore] = useFocusOnMore(list);
  const ids = list.items.filter((run) => run.can_redrive).map(({ id }) => id);
  useEffect(() => {
    const left = [...selected].filter((id) => ids.includes(id));
    if (left.length < selected.size) setSelected(new Set(left));
  }, [list.items]);
  function select(id, isOn) {
    const changed = new Set(selected);
    if (isOn) changed.add(id);
    else changed.delete(id);
    setSelected(changed);
  }
  const nameOf = ({ person }) => (person === me ? null : names.get(person));
  return html`
    ${trouble}
    ${api.mayMake &&
    html`
      <${ResumeMany}
        ids=${ids} selected=${selected} onselect=${setSelected} list=${list} api=${api}
      />
    `}
    <ul class="rows wide" ref=${rows}>
      ${list.items.map(
        (run) => html`
          <${RunRow}
            key=${run.id} run=${run} who=${nameOf(run)} api=${api} list=${list}
            isSelected=${selected.has(run.id)} onselect=${select}
          />
        `,
      )}
    </ul>
    <div class="end">
      <${ListEnd} list=${list} loading="Loading runs…" more="More" readMore=${readMore}>
        <${Nothing} isFiltered=${Object.values(filters).some(Boolean)} onclear=${onclear} />
      <//>
    </div>
  `;
}

function Nothing({ isFiltered, onclear }) {
  if (isFiltered)
    return html`
      <${Empty} title="No such runs" text="No run of the last 90 days matches these filters.">
        <${Button} onclick=${onclear} class="secondary">Show all runs<//>
      <//>
    `;
  return html`
    <${Empty} title="No runs yet" text="Each click on Make starts a run. You can follow it here.">
      <${ButtonLink} href="#make">Make a picture<//>
    <//>
  `;
}
