/** The view of one run: its steps as they progress, its images as they arrive, and its actions. */

import { goTo } from "../client/address.js";
import { explain } from "../client/api.js";
import { keepRequestAsDraft } from "../client/drafts.js";
import { isOn, notifyOfEnd } from "../client/end_notices.js";
import { many, money, soFar, span, upTo, when } from "../client/format.js";
import { noteRun } from "../client/recent_changes.js";
import { follow, noteStarted, readRun } from "../client/run_polling.js";
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
import { RunSteps, changesOf, nameOf, outcomeOf } from "../parts/run_steps.js";
import { NotifyWhenDone, StopButton } from "../parts/run_controls.js";
import { WrittenPrompt } from "../parts/prompt_first.js";

const SLOTS = {
  claimed: "Being made",
  staged: "Made, being saved to the gallery",
  refused: "Refused by OpenAI's safety system",
  lost: "Paid, but lost",
  bad: "The model returned an unusable file",
  deleted: "Deleted",
  purged: "Deleted permanently",
};
/** If the run has ended first, the image waits for "Resume", or will never arrive. */
const ENDED_SLOTS = { claimed: "Not made yet", staged: "Made, not in the gallery yet" };
const LOST_SLOTS = { claimed: "Never arrived, possibly paid" };
/** OpenAI's words for a refusal that say no more than that it was refused. */
const GENERAL_REFUSALS = ["moderation_blocked", "content_policy_violation"];

/** Reads what the view starts with. */
export const load = ({ api, signal, id }) => readRun(api, id, signal);

export function View({ api, signal, limits, loaded }) {
  const { run, receive, trouble, lost, followAgain } = useRun(api, signal, loaded);
  const name = nameOf(run);
  const [look, outcome] = outcomeOf(run);
  const isWritten = run.written_prompt != null && run.status !== "running";
  const prompt = run.prompt?.trim();
  useEffect(() => {
    document.title = `${outcome}: ${name} · Easel`;
  });

  async function act(call, announcement) {
    try {
      const now = await call();
      say(announcement);
      // A run that is too old for a redrive continues under another id.
      if (now.id !== run.id) {
        noteStarted(now);
        return goTo(`#run/${encodeURIComponent(now.id)}`);
      }
      receive(now);
      followAgain();
    } catch (error) {
      if (!signal.aborted) note(explain(error), { failed: true });
    }
  }

  return html`
    <div class="heading">
      <h1 tabindex="-1">${name}</h1>
      <span class="badge ${look}">${outcome}</span>
    </div>
    <${Facts} run=${run} />
    <div class="watch">
      <section aria-label="Progress">
        <${RunSteps} run=${run} />
        <div>
          ${lost
            ? html`<${Failed} error=${lost} onretry=${() => location.reload()} />`
            : run.error
              ? html`<${RunError} error=${run.error} />`
              : html`<${Refusal} run=${run} />`}
        </div>
        <p class="wrong" role="status">
          ${trouble && `${trouble.message} Easel keeps trying; the run continues.`}
        </p>
        ${run.status === "running" && html`<${NotifyWhenDone} />`}
        <${Actions} run=${run} api=${api} act=${act} />
        ${run.console_url &&
        html`
          <p><${OutsideLink} href=${run.console_url}>Open in the Step Functions console<//></p>
        `}
        ${prompt && !isWritten && html`<blockquote>${prompt}</blockquote>`}
      </section>
      <section class="pictures" aria-label="Pictures">
        ${isWritten && html`<${WrittenPrompt} run=${run} api=${api} limits=${limits} />`}
        ${run.action === "create" && !isWritten &&
        (run.dry_run
          ? html`<${Estimate} run=${run} />`
          : html`<${Images} run=${run} api=${api} signal=${signal} />`)}
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
    const hasEnded = latest.current.status === "running" && now.status !== "running";
    latest.current = now;
    noteRun(now);
    setRun(now);
    if (hasEnded) notifyOfEnd(now, `${outcomeOf(now)[1]}: ${nameOf(now)}`);
  }

  useEffect(() => noteRun(loaded), []);
  useEffect(() => {
    if (latest.current.status !== "running") return;
    const followed = new AbortController();
    const either = AbortSignal.any([signal, followed.signal]);
    const read = async () => {
      for await (const now of follow(api, run.id, either, setTrouble, isOn)) receive(now);
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
    costOf(run),
    run.possibly_paid > 0 && `${many(run.possibly_paid, "call")} possibly charged without a result`,
    run.objects != null && `${many(run.objects, "file")} found`,
  ];
  return html`<p class="facts">${facts.map((fact) => fact && html`<span>${fact}</span>`)}</p>`;
}

/** Returns the price of a run: the bound and the cost so far while it runs, then what it cost. */
function costOf(run) {
  const { action, status, dry_run: isEstimate, cost_usd: cost } = run;
  if (action !== "create" || isEstimate) return null;
  const bound = paintsNothing(run) ? null : run.estimate_usd;
  if (status !== "running") return cost != null ? `Cost ${money(cost)}` : "Cost not known";
  const paid = cost != null && `${soFar(cost)} so far`;
  return [bound != null && `Up to ${upTo(bound)}`, paid].filter(Boolean).join(", ");
}

/** Whether a run only writes its prompt. */
const paintsNothing = ({ steps }) => steps.some(({ step, of }) => step === "image" && of === 0);

/** What a dry run found out. */
function Estimate({ run: { status, estimate_usd: bound } }) {
  if (status !== "succeeded") return null;
  const price = bound == null ? "The price is not known" : `Up to ${upTo(bound)}`;
  return html`
    <div class="state">
      <h2>${price}</h2>
      <p>This run only checked the request and its price. It made and bought nothing.</p>
    </div>
  `;
}

/** Shows that OpenAI refused some images of a run that ended well. */
function Refusal({ run: { status, refused, count } }) {
  if (status !== "succeeded" || !refused) return null;
  const which = refused < count ? `${refused} of ${many(count, "picture")}` : "the request";
  return html`
    <${Callout}
      title="Refused by OpenAI"
      message="OpenAI's safety system refused ${which}. You do not pay for a refused picture."
      whatToDo="Change the words and try again."
    />
  `;
}

function RunError({ error: { error, title, message, what_to_do: whatToDo } }) {
  return html`
    <${Callout} title=${title} code=${error} message=${message} whatToDo=${whatToDo} />
  `;
}

function Actions({ run, api, act }) {
  if (!api.mayMake) return null;
  const stop = () => act(() => api.stop(run.id), "Stopping.");
  const announcement = "Resuming. You pay only for what is missing.";
  const resume = () => act(() => api.redrive(run.id), announcement);
  const isEnded = run.status !== "running" && run.action === "create";
  const isComplete = run.status === "succeeded" && !run.refused && !run.dry_run;
  return html`
    <div class="row">
      ${run.can_stop && html`<${StopButton} onstop=${stop} />`}
      ${run.can_redrive && html`<${Button} onclick=${resume} icon="play">Resume<//>`}
      ${isEnded &&
      (isComplete
        ? html`<${ButtonLink} href="#make" class="secondary">Make another<//>`
        : html`<${TryAgain} run=${run} />`)}
    </div>
  `;
}

/** Fills the form with the request of a run that did not make everything. */
function TryAgain({ run: { request, refused, dry_run: isEstimate, can_redrive: isSecond } }) {
  if (!request) return null;
  function reuse() {
    keepRequestAsDraft(request);
    goTo("#make");
  }
  const words = isEstimate ? "Make it" : refused ? "Change the words" : "Change and try again";
  return html`
    <${Button} onclick=${reuse} icon="brush" class=${isSecond ? "secondary" : null}>${words}<//>
  `;
}

function Images({ run, api, signal }) {
  const [removed, setRemoved] = useState([]); // ids that were deleted here
  const isRunning = run.status === "running";
  const stored = run.pictures
    .filter(({ id, links }) => links && !removed.includes(id))
    .map((image) => ({ title: run.title, topic: run.topic, ...image }));
  const slots = run.pictures.filter(({ links }) => !links);
  const shape = { "--ratio": stored[0] ? stored[0].width / stored[0].height : 1 };
  // A run that ended before its prompt was written has no count and waits for no image.
  const expected = run.status === "succeeded" || paintsNothing(run) ? 0 : run.count ?? (isRunning ? 1 : 0);
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
      ${slots.map((image) => html`<${Slot} image=${image} run=${run} shape=${shape} />`)}
      ${Array.from(
        { length: waiting },
        () => html`
          <li class=${isRunning ? "slot claimed" : "slot"} style=${shape}>
            <p>${isRunning ? "Starting…" : ENDED_SLOTS.claimed}</p>
          </li>
        `,
      )}
    <//>
  `;
}

function Slot({ image: { status, refusal }, run, shape }) {
  const isRunning = run.status === "running";
  const ended = run.can_redrive ? ENDED_SLOTS : { ...ENDED_SLOTS, ...LOST_SLOTS };
  const words = (!isRunning && ended[status]) || SLOTS[status] || status;
  const isSpecial = refusal && !GENERAL_REFUSALS.includes(refusal);
  return html`
    <li class=${isRunning || SLOTS[status] === words ? `slot ${status}` : "slot"} style=${shape}>
      <p>
        ${words}
        ${isSpecial && html`<small>Reason: ${refusal}</small>`}
      </p>
    </li>
  `;
}
