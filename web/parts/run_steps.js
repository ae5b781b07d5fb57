/** A run's steps, and the words for its name, its outcome and its changes. */

import { many, span } from "../client/format.js";
import { Icon, html } from "./elements.js";

const NAMES = {
  prompt: "Write the prompt",
  image: "Make the picture",
  upload: "Save to gallery",
  cleanup: "Finish",
};
/** What the only step of a run that creates no images is called. */
const CLEANUP_NAMES = {
  delete_image: "Delete the picture",
  delete_folder: "Delete the folder's pictures",
  restore_image: "Restore the picture",
  restore_folder: "Restore the folder's pictures",
  share_image: "Share the picture",
  unshare_image: "Stop sharing the picture",
  move_image: "Move the picture",
};
/** What a run that creates no images does with its title, which names an image or a folder. */
const DEEDS = {
  delete_image: "Delete the picture",
  delete_folder: "Delete the folder",
  restore_image: "Restore the picture",
  restore_folder: "Restore the folder",
  share_image: "Share the picture",
  unshare_image: "Stop sharing the picture",
  move_image: "Move the picture",
};
/** The words for a run's status. */
export const STATUS = {
  running: "Running",
  succeeded: "Done",
  failed: "Failed",
  timed_out: "Timed out",
  aborted: "Stopped",
};
/** The words and the icon for a step's status. */
const STEP_STATUS = {
  waiting: ["Waiting", "clock"],
  running: ["Running", "brush"],
  retrying: ["Retrying", "again"],
  succeeded: ["Done", "check"],
  refused: ["Refused", "cross"],
  failed: ["Failed", "cross"],
  stopped: ["Stopped", "stop"],
  skipped: ["Skipped", "clock"],
};

/** Returns what a run is called: its images' title, or what was asked for. */
export function nameOf({ title, action }) {
  const isUpkeep = Object.hasOwn(DEEDS, action);
  if (isUpkeep) return title ? `${DEEDS[action]} ${title}` : DEEDS[action];
  return title || "A surprise picture";
}

/** Returns a run's outcome, as the class and the words of its badge. */
export function outcomeOf({ status, dry_run: isEstimate, refused, count, written_prompt: text }) {
  if (status !== "succeeded") return [status, STATUS[status] ?? status];
  if (isEstimate) return ["estimate", "Estimate"];
  if (text != null) return [status, "Prompt written"];
  if (!refused) return [status, STATUS[status]];
  return count > refused ? ["partly", `${count - refused} of ${count}`] : ["refused", "Refused"];
}

export function RunSteps({ run }) {
  const steps = run.steps.map((step) => html`<${Step} key=${step.step} step=${step} run=${run} />`);
  return html`<ol class="steps">${steps}</ol>`;
}

function Step({ step, run }) {
  const [word, icon] = STEP_STATUS[step.status];
  return html`
    <li class="step ${step.status}">
      <span class="mark" aria-hidden="true"><${Icon} name=${icon} /></span>
      <div>
        <strong>${stepName(step, run.action)}</strong>
        <span class="facts">
          <span class="word">${word}</span>
          ${factsOf(step, run).map((fact) => html`<span>${fact}</span>`)}
        </span>
        ${step.error &&
        html`<span class="fault"><strong>${step.error.title}</strong></span>`}
      </div>
    </li>
  `;
}

function factsOf(step, run) {
  if (step.status === "waiting" || step.status === "skipped") return [];
  const isShort = step.status === "refused" && step.done > 0;
  return [
    (step.of > 1 || isShort) && `${step.done} of ${step.of}`,
    step.started && span(step.started, step.ended ?? run.ended),
    // Each variation takes one attempt.
    step.attempts > step.of && `${many(step.attempts - step.of, "retry", "retries")}`,
  ].filter(Boolean);
}

const stepName = (step, action) => CLEANUP_NAMES[action] ?? NAMES[step.step] ?? step.step;

/** What a screen reader should read out: only what changed since `before`, or null. */
export function changesOf(before, run) {
  if (before.status !== run.status) return `Run: ${outcomeOf(run)[1]}.`;
  const changes = run.steps.flatMap((step, index) => {
    const name = stepName(step, run.action);
    const old = before.steps[index];
    const [word] = STEP_STATUS[step.status];
    if (old?.status !== step.status) return `${name}: ${word.toLowerCase()}.`;
    return old.done !== step.done ? `${name}: ${step.done} of ${step.of}.` : [];
  });
  return changes.join(" ") || null;
}
