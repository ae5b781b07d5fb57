/** A run's steps, and the words for its status and its changes. */

import { span } from "../client/format.js";
import { Icon, html } from "./elements.js";

const NAMES = {
  prompt: "Write the prompt",
  image: "Paint",
  upload: "Hang it in the gallery",
  cleanup: "Tidy up and report",
};
/** What the only step of a run that creates no images is called. */
const CLEANUP_NAMES = {
  delete_image: "Take the picture away",
  delete_folder: "Take the folder's pictures away",
  restore_image: "Bring the picture back",
  restore_folder: "Bring the folder's pictures back",
};
/** The title of a run that creates no images. */
export const TITLES = {
  delete_image: "Delete a picture",
  delete_folder: "Delete a folder",
  restore_image: "Bring back a picture",
  restore_folder: "Bring back a folder",
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
  retrying: ["Trying again", "again"],
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
        html`<span class="fault"><strong>${step.error.error}</strong> ${step.error.message}</span>`}
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
    step.attempts > step.of && `${step.attempts - step.of} tried again`,
  ].filter(Boolean);
}

const nameOf = (step, action) => CLEANUP_NAMES[action] ?? NAMES[step.step] ?? step.step;

/** What a screen reader should read out: only what changed since `before`, or null. */
export function changesOf(before, run) {
  if (before.status !== run.status) return `The run ${run.status.replace("_", " ")}.`;
  const changes = run.steps.flatMap((step, index) => {
    const name = nameOf(step, run.action);
    const old = before.steps[index];
    const [word] = STEP_STATUS[step.status];
    if (old?.status !== step.status) return `${name}: ${word.toLowerCase()}.`;
    return old.done !== step.done ? `${name}: ${step.done} of ${step.of}.` : [];
  });
  return changes.join(" ") || null;
}
