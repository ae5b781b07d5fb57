/** The view of one run: its steps as they progress, its images as they arrive, and its actions. */

import { explain } from "../client/api.js";
import { many, money, span, upTo, when } from "../client/format.js";
import { noteRun } from "../client/recent_changes.js";
import { follow } from "../client/run_polling.js";
import {
  Button,
  ButtonLink,
  OutsideLink,
  html,
  useEffect,
  useReducer,
  useRef,
  useState,
} from "../parts/elements.js";
import { ImageGrid } from "../parts/image_grid.js";
import { note, say } from "../parts/notices.js";
import { Callout, Failed } from "../parts/placeholders.js";
import { RunSteps, STATUS, TITLES, changesOf } from "../parts/run_steps.js";

const SECONDS_TO_CONFIRM = 6;
const SLOTS = {
  claimed: "Being made",
  staged: "Made, being saved to the gallery",
  refused: "Refused by OpenAI's moderation",
  lost: "Paid, but lost",
  bad: "The model returned an unusable file",
  deleted: "Deleted",
};
/** If the run has ended first, the image waits for "Resume". */
const ENDED_SLOTS = { claimed: "Not made yet", staged: "Made, not in the gallery yet" };

/** Reads what the view starts with. */
export const load = ({ api, signal, id }) => api.run(id, signal);

export function View({ api, signal, loaded }) {
  const { run, receive, trouble, lost, followAgain } = useRun(api, signal, loaded);
  const name = run.title || run.topic || TITLES[run.action] || "A new picture";
  const prompt = run.prompt?.trim();
  useEffect(() => {
    document.title = `${STATUS[run.status]}: ${name} · Easel`;
  });

  async function act(call, announcement) {
    try {
      const now = await call();
      say(announcement);
      // A run that is too old for a redrive continues under another id.
      if (now.id !== run.id) return (location.hash = `#run/${encodeURIComponent(now.id)}`);
      receive(now);
      followAgain();
    } catch (error) {
      if (!signal.aborted) note(explain(error), { failed: true });
    }
  }

  return html`
    <div class="heading">
      <h1 tabindex="-1">${name}</h1>
      <span class="badge ${run.status}">${STATUS[run.status]}</span>
    </div>
    <${Facts} run=${run} />
    <div class="watch">
      <section aria-label="Progress">
        <${RunSteps} run=${run} />
        <div>
          ${lost
            ? html`<${Failed} error=${lost} onretry=${() => location.reload()} />`
            : run.error && html`<${RunError} error=${run.error} />`}
        </div>
        <p class="wrong" role="status">
          ${trouble && `${trouble.message} Easel keeps trying; the run continues.`}
        </p>
        <${Actions} run=${run} api=${api} act=${act} />
        <p><${OutsideLink} href=${run.console_url}>Open in the Step Functions console<//></p>
        ${prompt && html`<blockquote>${prompt}</blockquote>`}
      </section>
      <section class="pictures" aria-label="Pictures">
        ${run.action === "create" && html`<${Images} run=${run} api=${api} signal=${signal} />`}
      </section>
    </div>
  `;
}

/** The run as it was last read. It is read again until it has ended, and after `followAgain`. */
function useRun(api, signal, loaded) {
  const [run, setRun] = useState(loaded);
  const [trouble, setTrouble] = useState(null); // a failed read that is retried
  const [lost, setLost] = useState(null); // a failed read that is not
  const [round, followAgain] = useReducer((number) => number + 1, 0);
  const [, tick] = useReducer((number) => number + 1, 0);
  const latest = useRef(loaded);

  function receive(now) {
    const changes = changesOf(latest.current, now);
    if (changes) say(changes);
    latest.current = now;
    noteRun(now);
    setRun(now);
  }

  useEffect(() => noteRun(loaded), []);
  useEffect(() => {
    if (latest.current.status !== "running") return;
    const followed = new AbortController();
    const either = AbortSignal.any([signal, followed.signal]);
    const read = async () => {
      for await (const now of follow(api, run.id, either, setTrouble)) receive(now);
    };
    read().catch((error) => either.aborted || setLost(error));
    return () => followed.abort();
  }, [round]);
  useEffect(() => {
    if (run.status !== "running") return;
    const timer = setInterval(() => document.hidden || tick(), 1000);
    return () => clearInterval(timer);
  }, [run.status]);

  return { run, receive, trouble, lost, followAgain };
}

function Facts({ run }) {
  const facts = [
    span(run.started, run.ended),
    `Started ${when(run.started)}`,
    run.dry_run && "An estimate: nothing is bought",
    run.cost_usd != null
      ? `Cost ${money(run.cost_usd)}`
      : run.estimate_usd != null && run.status === "running" && `Up to ${upTo(run.estimate_usd)}`,
    run.possibly_paid > 0 && `${many(run.possibly_paid, "call")} possibly charged without a result`,
    run.objects != null && `${many(run.objects, "file")} found`,
  ];
  return html`<p class="facts">${facts.map((fact) => fact && html`<span>${fact}</span>`)}</p>`;
}

function RunError({ error: { error, title, message, what_to_do: whatToDo } }) {
  return html`
    <${Callout} title=${title} code=${error} message=${message} whatToDo=${whatToDo} />
  `;
}

function Actions({ run, api, act }) {
  const stop = () => act(() => api.stop(run.id), "Stopping.");
  const announcement = "Resuming. You pay only for what is missing.";
  const resume = () => act(() => api.redrive(run.id), announcement);
  const mayMakeAnother = run.status !== "running" && run.action === "create";
  return html`
    <div class="row">
      ${run.can_stop && html`<${StopButton} onstop=${stop} />`}
      ${run.can_redrive && html`<${Button} onclick=${resume} icon="play">Resume<//>`}
      ${mayMakeAnother &&
      html`<${ButtonLink} href="#make" class="secondary">Make another<//>`}
    </div>
  `;
}

/** Stops at the second click, if it follows soon. */
function StopButton({ onstop }) {
  const [isArmed, setArmed] = useState(false);
  useEffect(() => {
    if (!isArmed) return;
    const timer = setTimeout(() => setArmed(false), SECONDS_TO_CONFIRM * 1000);
    return () => clearTimeout(timer);
  }, [isArmed]);
  return html`
    <${Button} onclick=${isArmed ? onstop : () => setArmed(true)} class="secondary" icon="stop">
      ${isArmed ? "Really stop? You still pay for pictures already made" : "Stop"}
    <//>
  `;
}

function Images({ run, api, signal }) {
  const [removed, setRemoved] = useState([]); // ids that were deleted here
  const isRunning = run.status === "running";
  const stored = run.pictures
    .filter(({ id, links }) => links && !removed.includes(id))
    .map((image) => ({ title: run.title, topic: run.topic, ...image }));
  const slots = run.pictures.filter(({ links }) => !links);
  // A run that ended before its prompt was written has no count and waits for no image.
  const expected = run.status === "succeeded" ? 0 : run.count ?? (isRunning ? 1 : 0);
  const waiting = Math.max(0, expected - run.pictures.length);
  return html`
    <${ImageGrid}
      images=${stored}
      api=${api}
      signal=${signal}
      link="picture"
      onremove=${({ id }) => setRemoved((ids) => [...ids, id])}
      onputback=${({ id }) => setRemoved((ids) => ids.filter((other) => other !== id))}
    >
      ${slots.map((image) => html`<${Slot} image=${image} isRunning=${isRunning} />`)}
      ${Array.from(
        { length: waiting },
        () => html`
          <li class="slot claimed">
            <p>${isRunning ? "Starting…" : ENDED_SLOTS.claimed}</p>
          </li>
        `,
      )}
    <//>
  `;
}

function Slot({ image, isRunning }) {
  const words = (!isRunning && ENDED_SLOTS[image.status]) || SLOTS[image.status] || image.status;
  return html`
    <li class="slot ${image.status}">
      <p>
        ${words}
        ${image.refusal && html`<small>${image.refusal}</small>`}
      </p>
    </li>
  `;
}
