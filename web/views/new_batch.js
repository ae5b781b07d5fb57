/** The view that starts a batch: choose a file, see its price and its wrong lines, then start it. */

import { goTo } from "../client/address.js";
import { explain } from "../client/api.js";
import { left, many, upTo } from "../client/format.js";
import {
  ACCEPTED,
  checkManifest,
  nameFor,
  problemOf,
  startChecked,
  uploadManifest,
} from "../client/manifest.js";
import { loadListStyle } from "../client/styles.js";
import { LookOnly } from "../parts/access.js";
import { BatchFailures } from "../parts/batch_failures.js";
import { Button, html, useEffect, useRef, useState } from "../parts/elements.js";
import { FileDrop } from "../parts/file_drop.js";
import { say } from "../parts/notices.js";
import { Callout } from "../parts/placeholders.js";

const LEAST_TOLERANCE = 50; // percent
const TEMPLATE = "web/batch-template.csv";

/** Loads what the view needs. */
export const load = loadListStyle;

export function View({ api, signal }) {
  const batch = useNewBatch(api, signal);
  const { file, problem, checked, step } = batch;
  if (!api.mayMake)
    return html`
      <h1 tabindex="-1">New batch</h1>
      <${LookOnly}>It lets you see batches, but not start them.<//>
    `;
  return html`
    <h1 tabindex="-1">New batch</h1>
    <p class="lead">
      A batch makes pictures from a file with one request in each line. You see the price and every
      wrong line before anything is paid.
    </p>
    <form class="composer new-batch" novalidate aria-label="A new batch" onsubmit=${batch.submit}>
      <${FileDrop}
        accept=${ACCEPTED}
        onfile=${batch.take}
        problem=${problem}
        signal=${signal}
        choose=${file ? "Choose another file" : "Choose a file"}
      >
        ${file ? file.name : "Drop a CSV or JSON Lines file here"}
      <//>
      <p class="hint">
        New to this? Fill in the <a href=${TEMPLATE} download="batch.csv">template (CSV)</a>. Each
        column is a field of a request; leave out columns that you do not need.
      </p>
      ${file && html`<${Options} batch=${batch} />`}
      <p class="progress-line" role="status">
        ${step && html`<span class="spinner" aria-hidden="true"></span>${step}`}
      </p>
      ${checked && html`<${Outcome} batch=${batch} />`}
    </form>
    ${checked &&
    html`
      <${BatchFailures}
        key=${checked.execution}
        name=${checked.name}
        execution=${checked.execution}
        version="0"
        api=${api}
        signal=${signal}
        title="Lines that cannot be made"
      />
    `}
  `;
}

/** The state of a new batch, from the file to the start. */
function useNewBatch(api, signal) {
  const [state, setState] = useState({ name: "", options: {} });
  const run = useRef(new AbortController());
  const latest = useRef(state);
  latest.current = state;
  const set = (values) => {
    latest.current = { ...latest.current, ...values };
    setState(latest.current);
  };
  useEffect(() => () => run.current.abort(), []);

  /** Does the steps of a check. A later check replaces it. */
  async function check(work) {
    run.current.abort();
    run.current = new AbortController();
    const until = AbortSignal.any([signal, run.current.signal]);
    set({ checked: null, problem: null });
    try {
      await work(until);
      const { file, name, options } = latest.current;
      set({ step: "Checking every line…" });
      const checked = await checkManifest(api, file, name, options, until);
      set({ checked, step: null });
      say(checked.error ? checked.error.title : "The file is checked.");
    } catch (error) {
      if (until.aborted) return;
      set({ problem: explain(error), step: null });
    }
  }

  const upload = () =>
    check(async (until) => {
      const { file, name } = latest.current;
      const show = (share) => set({ step: `Uploading ${file.name}: ${Math.round(share * 100)} %` });
      show(0);
      await uploadManifest(api, file, name, until, show);
      set({ isUploaded: true });
    });

  function take(file) {
    const problem = problemOf(file);
    run.current.abort();
    set({ file: problem ? null : file, problem, checked: null, step: null, options: {} });
    if (problem) return;
    set({ name: nameFor(file), isUploaded: false });
    upload();
  }

  function choose(name, value) {
    set({ options: { ...latest.current.options, [name]: value || undefined } });
    if (latest.current.isUploaded) check(async () => {});
    else upload();
  }

  async function submit(event) {
    event.preventDefault();
    const { file, checked, options, isStarting } = latest.current;
    if (!checked || !canStart(checked) || isStarting) return;
    set({ isStarting: true, problem: null });
    try {
      const { name, execution } = await startChecked(api, file, checked, options);
      goTo(`#batch/${encodeURIComponent(name)}?${new URLSearchParams({ execution })}`);
    } catch (error) {
      if (!signal.aborted) set({ problem: explain(error), isStarting: false });
    }
  }

  const rename = (name) => set({ name, checked: null, isUploaded: false });
  return { ...state, take, choose, rename, upload, submit };
}

const canStart = ({ status, checked }) =>
  status === "succeeded" && !checked.refusal && checked.todo > 0;

function Options({ batch: { name, checked, options, step, rename, upload, choose } }) {
  const changed = (event) => {
    rename(event.target.value.trim());
    upload();
  };
  const isStale = !checked && !step;
  return html`
    <div class="field">
      <label for="batch-name">Name</label>
      <input
        id="batch-name" autocomplete="off" maxlength="60" spellcheck=${false} value=${name}
        aria-describedby="batch-name-hint" onchange=${changed}
      />
      <small id="batch-name-hint" class="hint">
        Letters, digits, dots, hyphens and underscores. The same name continues an earlier batch:
        lines that are already made are not paid again.
      </small>
    </div>
    <${Switch} name="economy" isOn=${options.economy} onchange=${choose}>
      Economy: half the price
      <small>OpenAI makes the pictures within a day.</small>
    <//>
    ${isStale &&
    html`<${Button} onclick=${upload} class="secondary" icon="again">Check the file again<//>`}
  `;
}

function Switch({ name, isOn, onchange, children }) {
  return html`
    <label class="switch">
      <input
        type="checkbox" role="switch" checked=${Boolean(isOn)}
        onchange=${({ target }) => onchange(name, target.checked)}
      />
      <span>${children}</span>
    </label>
  `;
}

/** The price of a checked file, why it cannot start yet, and what helps. */
function Outcome({ batch: { checked: batch, options, choose, isStarting } }) {
  const { checked, error } = batch;
  if (!checked)
    return html`
      <${Callout}
        title=${error?.title ?? "The check failed"} code=${error?.error} message=${error?.message}
        whatToDo=${error?.what_to_do ?? "Check the file again."}
      />
    `;
  const { lines, pictures, todo, postponed, bad, estimate_usd: price } = checked;
  const facts = [
    `${many(lines, "line")} to make, ${many(pictures, "picture")}`,
    todo + postponed < lines && `${many(lines - todo - postponed, "line")} already made`,
    postponed > 0 && `${many(postponed, "line")} left out: the budget is too small`,
    bad > 0 && `${many(bad, "line")} cannot be made`,
  ];
  const cost = price == null ? "Price not known" : `Up to ${upTo(price)}`;
  // The wrong lines count as failed. Further lines may fail without ending the batch.
  const share = Math.max(LEAST_TOLERANCE, Math.ceil((100 * bad) / (lines + bad)));
  const leavesOut = options.tolerated_failure_percentage != null;
  return html`
    <p class="facts">${facts.map((fact) => fact && html`<span>${fact}</span>`)}</p>
    ${lines > 0 &&
    bad > 0 &&
    (checked.refusal || leavesOut) &&
    html`
      <${Switch}
        name="tolerated_failure_percentage" isOn=${leavesOut}
        onchange=${(name, isOn) => choose(name, isOn && share)}
      >
        Make the remaining lines
        <small>Leave out ${many(bad, "line")}.</small>
      <//>
    `}
    ${(!checked.fits || options.allow_partial) &&
    html`
      <${Switch} name="allow_partial" isOn=${options.allow_partial} onchange=${choose}>
        Make as many lines as the budget allows
        <small>${left(checked.budget_left_usd)} are left this month.</small>
      <//>
    `}
    ${checked.refusal && html`<p class="problem" role="alert">${refusalOf(checked)}</p>`}
    ${!checked.refusal && !todo && html`<p>Every line is already made.</p>`}
    <div class="till">
      <p><strong>${cost}</strong><br />${left(checked.budget_left_usd)} left this month</p>
      <button
        type="submit" class="big" aria-disabled=${canStart(batch) && !isStarting ? null : "true"}
      >
        Start batch
      </button>
    </div>
  `;
}

/** Returns in plain words why a batch would be refused. */
function refusalOf({ lines, bad, fits, refusal }) {
  if (!lines) return "No line of this file can be made. Correct the lines below.";
  if (bad && !/budget/.test(refusal))
    return `${many(bad, "line")} cannot be made. Correct the file, or make the other lines.`;
  if (!fits) return "The price is more than what is left of this month's budget.";
  return refusal;
}
