/** Saves the form's request as a schedule. */

import { explain } from "../client/api.js";
import { REPEATS, WEEK, expressionOf, ownZone } from "../client/schedule_times.js";
import { Button, html, useState } from "./elements.js";
import { Choices, Field } from "./form_fields.js";

const START = { name: "", repeat: "*", day: "MON", time: "08:00", own: "rate(6 hours)" };
const options = (pairs) => pairs.map(([value, label]) => ({ value, label }));

/** The disclosure “Repeat on a schedule”. Nothing in it starts a run at once. */
export function Repeat({ request, api }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="snippets" ontoggle=${(event) => setOpen(event.target.open)}>
      <summary>Repeat on a schedule</summary>
      ${isOpen && html`<${Fields} request=${request} api=${api} />`}
    </details>
  `;
}

function Fields({ request, api }) {
  const [values, setValues] = useState(START);
  const [outcome, setOutcome] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const zone = ownZone();
  const change = (name) => (value) => setValues({ ...values, [name]: value });
  const input = (name, more) => (attributes) => html`
    <input
      name=${`schedule_${name}`}
      autocomplete="off"
      value=${values[name]}
      oninput=${(event) => change(name)(event.target.value)}
      ...${more}
      ...${attributes}
    />
  `;
  async function save() {
    if (isBusy) return;
    setBusy(true);
    try {
      const body = { when: expressionOf(values), time_zone: zone, request };
      const { name } = await api.putSchedule(values.name.trim(), body);
      setOutcome({ name });
    } catch (error) {
      setOutcome({ problem: explain(error) });
    }
    setBusy(false);
  }
  return html`
    <${Field}
      id="schedule_name"
      label="Name of the schedule"
      hint="A schedule of the same name is replaced."
      control=${input("name", { maxlength: 40 })}
    />
    <${Choices}
      name="schedule_repeat"
      label="How often"
      options=${options(REPEATS)}
      chosen=${values.repeat}
      look="segments"
      onchoose=${change("repeat")}
    />
    ${values.repeat === "weekly" &&
    html`
      <${Choices}
        name="schedule_day"
        label="Day"
        options=${options(WEEK)}
        chosen=${values.day}
        look="chips"
        onchoose=${change("day")}
      />
    `}
    ${values.repeat === "own"
      ? html`
          <${Field}
            id="schedule_own"
            label="Expression"
            hint="Such as rate(6 hours), cron(0 8 ? * MON *), or at(2027-01-01T08:00:00)."
            control=${input("own")}
          />
        `
      : html`
          <${Field} id="schedule_time" label="Time" control=${input("time", { type: "time" })} />
        `}
    <p class="hint">Time zone: ${zone}. Each run is paid for, within the monthly budget.</p>
    <${Button}
      onclick=${save}
      icon="clock"
      class="secondary"
      aria-disabled=${isBusy || !values.name.trim() ? "true" : null}
    >
      Save the schedule
    <//>
    <p class=${outcome?.problem ? "wrong" : null} role="status">
      ${outcome?.problem}
      ${outcome?.name && html`Saved. <a href="#schedules">See all schedules</a>`}
    </p>
  `;
}
