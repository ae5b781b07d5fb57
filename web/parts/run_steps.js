/** A run's steps, and the words for its status and its changes. */

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
};
/** The title of a run that creates no images. */
export const TITLES = {
  delete_image: "Delete a picture",
  delete_folder: "Delete a folder",
  restore_image: "Restore a picture",
  restore_folder: "Restore a folder",
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
  failed: ["Failed", "cross"],
  stopped: ["Stopped", "stop"],
};

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
        <strong>${nameOf(step, run.action)}</strong>
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
  if (step.status === "waiting") return [];
  return [
    step.of > 1 && `${step.done} of ${step.of}`,
    step.started && span(step.started, step.ended ?? run.ended),
    // Each variation takes one attempt.
    step.attempts > step.of && `${many(step.attempts - step.of, "retry", "retries")}`,
  ].filter(Boolean);
}

const nameOf = (step, action) => CLEANUP_NAMES[action] ?? NAMES[step.step] ?? step.step;

/** What a screen reader should read out: only what changed since `before`, or null. */
export function changesOf(before, run) {
  if (before.status !== run.status) return `Run: ${STATUS[run.status]}.`;
  const changes = run.steps.flatMap((step, index) => {
    const name = nameOf(step, run.action);
    const old = before.steps[index];
    const [word] = STEP_STATUS[step.status];
    if (old?.status !== step.status) return `${name}: ${word.toLowerCase()}.`;
    return old.done !== step.done ? `${name}: ${step.done} of ${step.of}.` : [];
  });
  return changes.join(" ") || null;
}
