/** Draws a run's steps, and puts its changes into words. */

import { el, icon } from "./dom.js";
import { span } from "./format.js";

const NAMES = { prompt: "Write the prompt", image: "Paint", upload: "Hang it in the gallery", cleanup: "Tidy up and report" };
const TIDYING = {
  delete_image: "Take the picture away",
  delete_folder: "Take the folder's pictures away",
  restore_image: "Bring the picture back",
  restore_folder: "Bring the folder's pictures back",
};
/** What a run is called that makes no pictures. */
export const TITLES = {
  delete_image: "Delete a picture",
  delete_folder: "Delete a folder",
  restore_image: "Bring back a picture",
  restore_folder: "Bring back a folder",
};
/** What the status of a run is called. */
export const STATUS = { running: "Running", succeeded: "Done", failed: "Failed", timed_out: "Timed out", aborted: "Stopped" };

const WORDS = { waiting: "Waiting", running: "Running", retrying: "Trying again", succeeded: "Done", failed: "Failed", stopped: "Stopped" };
const ICONS = { waiting: "clock", running: "brush", retrying: "again", succeeded: "check", failed: "cross", stopped: "stop" };

/** What a step is called in this run. */
export const nameOf = (step, action) => TIDYING[action] ?? NAMES[step.step] ?? step.step;

/** The steps, in order, with how far they are. */
export const drawSteps = (run) => run.steps.map((step) => drawStep(step, run));

function drawStep(step, run) {
  const facts = step.status !== "waiting" && [
    step.of > 1 && `${step.done} of ${step.of}`,
    step.started && span(step.started, step.ended ?? run.ended),
    // Each variation takes one attempt.
    step.attempts > step.of && `${step.attempts - step.of} tried again`,
  ];
  return el(
    "li",
    { class: `step ${step.status}` },
    el("span", { class: "mark", "aria-hidden": "true" }, icon(ICONS[step.status])),
    el(
      "div",
      {},
      el("strong", {}, nameOf(step, run.action)),
      el(
        "span",
        { class: "facts" },
        el("span", { class: "word" }, WORDS[step.status]),
        facts && facts.filter(Boolean).map((fact) => el("span", {}, fact)),
      ),
      step.error && el("span", { class: "fault" }, el("strong", {}, step.error.error), ` ${step.error.message}`),
    ),
  );
}

/** What a screen reader should hear: only that which is other than before. */
export function changes(before, run) {
  if (!before) return null;
  if (before.status !== run.status) return `The run ${run.status.replace("_", " ")}.`;
  const said = run.steps.flatMap((step, index) => {
    const old = before.steps[index];
    if (old?.status !== step.status) return `${nameOf(step, run.action)}: ${WORDS[step.status].toLowerCase()}.`;
    return old.done !== step.done ? `${nameOf(step, run.action)}: ${step.done} of ${step.of}.` : [];
  });
  return said.join(" ") || null;
}
