/** The view of the schedules, which start runs by themselves. */

import { explain } from "../client/api.js";
import { when } from "../client/format.js";
import { inWords } from "../client/schedule_times.js";
import { LookOnly } from "../parts/access.js";
import { Button, ButtonLink, html, useState } from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { note, say } from "../parts/notices.js";
import { Empty } from "../parts/placeholders.js";

export function View({ api, signal }) {
  const list = usePagedList(async (cursor, until) => {
    const page = await api.schedules({ cursor }, until);
    return { items: page.schedules.map(withId), cursor: page.cursor };
  }, signal);
  const [rows, readMore] = useFocusOnMore(list);
  return html`
    <h1 tabindex="-1">Schedules</h1>
    <p class="lead">
      A schedule starts runs by itself.${" "}
      ${api.mayMake && "To add one, open “Repeat on a schedule” in Make."}
    </p>
    ${!api.mayMake && html`<${LookOnly}>It lets you see schedules, but not change them.<//>`}
    <ul class="rows" ref=${rows}>
      ${list.items.map(
        (schedule) => html`
          <${Row} key=${schedule.id} schedule=${schedule} api=${api} list=${list} />
        `,
      )}
    </ul>
    <div class="end">
      <${ListEnd} list=${list} loading="Loading schedules…" more="More" readMore=${readMore}>
        <${Empty} title="No schedules" text="Pictures are made only when somebody starts a run.">
          ${api.mayMake && html`<${ButtonLink} href="#make">Make a picture<//>`}
        <//>
      <//>
    </div>
  `;
}

const withId = (schedule) => ({ ...schedule, id: schedule.name });

function Row({ schedule, api, list }) {
  const { name, paused, declared, note: about, next_run: next, last_run: last } = schedule;
  const facts = [inWords(schedule.when), schedule.time_zone, about];
  return html`
    <li>
      <div class="main">
        <strong>${name}</strong>
        <small>${facts.filter(Boolean).join(" · ")}</small>
        <small>
          Next run: ${when(next)} · Last run:${" "}
          ${last ? html`<a href="#run/${encodeURIComponent(last.id)}">${when(last.time)}</a>` : "–"}
        </small>
        ${declared && html`<small>Declared in cdk.json; a deployment changes it</small>`}
      </div>
      <span class="badge ${paused ? "estimate" : "succeeded"}">${paused ? "Paused" : "On"}</span>
      ${!declared && api.mayMake &&
      html`<span class="deed"><${Actions} schedule=${schedule} api=${api} list=${list} /></span>`}
    </li>
  `;
}

function Actions({ schedule, api, list }) {
  const [isBusy, setBusy] = useState(false);
  const { id, name, paused } = schedule;
  async function act(call, outcome) {
    if (isBusy) return;
    setBusy(true);
    try {
      await call();
      say(outcome);
      await list.refresh();
    } catch (error) {
      note(explain(error), { failed: true });
    }
    setBusy(false);
  }
  function change(values) {
    const { id: _, name: __, declared, next_run, last_run, ...fields } = schedule;
    return api.putSchedule(id, { ...fields, ...values });
  }
  const turn = () =>
    act(() => change({ paused: !paused }), paused ? `${name} is on again.` : `${name} is paused.`);
  const remove = () =>
    act(async () => {
      await api.deleteSchedule(id);
      list.remove(schedule);
      document.querySelector("main h1").focus();
    }, `${name} was deleted. Its pictures stay.`);
  const busy = isBusy ? "true" : null;
  const words = paused ? "Resume" : "Pause";
  return html`
    <${Button}
      onclick=${turn}
      icon=${paused ? "play" : "stop"}
      class="secondary"
      aria-label=${`${words}: ${name}`}
      aria-disabled=${busy}
    >
      ${words}
    <//>
    <${Button}
      onclick=${remove}
      icon="bin"
      class="quiet"
      aria-label=${`Delete: ${name}`}
      aria-disabled=${busy}
    >
      Delete
    <//>
  `;
}
