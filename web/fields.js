/** The controls of the Make form, and the problems that show at them. */

import { el, set } from "./dom.js";

/** A labelled control with its hint and a place for its problem. */
export function field(id, words, control, hint, { optional } = {}) {
  const input = control.id === id ? control : control.querySelector("input");
  set(input, "aria-describedby", [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" "));
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, words, optional && el("small", {}, " optional")),
    control,
    hint && el("small", { id: `${id}-hint`, class: "hint" }, hint),
    el("small", { id: `${id}-problem`, class: "problem" }),
  );
}

/** One of a few, as chips, segments or shapes. */
export function choices(name, words, options, chosen, look) {
  const boxes = options.map(([value, label, small, ratio]) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name, value, checked: value === chosen }),
      look === "shapes" && el("span", { class: ratio ? "shape" : "shape free", "aria-hidden": "true", vars: ratio ? { ratio } : {} }),
      el("span", {}, label, small && el("small", {}, small)),
    ),
  );
  return el(
    "fieldset",
    { class: look, id: name, "aria-describedby": `${name}-problem` },
    el("legend", {}, words),
    el("div", {}, boxes),
    el("small", { id: `${name}-problem`, class: "problem" }),
  );
}

/** One of a list. */
export function select(name, options, chosen) {
  return el(
    "select",
    { name, id: name },
    options.map(([value, words]) => el("option", { value, selected: value === chosen }, words)),
  );
}

/** Shows a problem at the field that it is about; says whether the form has that field. */
export function showProblem(form, error) {
  for (const control of form.querySelectorAll("[aria-invalid]")) set(control, "aria-invalid", null);
  for (const line of form.querySelectorAll(".problem")) line.textContent = "";
  if (!error?.field) return false;
  const names = { description: "idea", prompt: "idea", size: "own-size", topics: "topic" };
  const id = names[error.field] ?? error.field;
  const control = form.querySelector(`#${CSS.escape(id)}`);
  const line = form.querySelector(`#${CSS.escape(id)}-problem`);
  if (!control || !line) return false;
  control.closest("details")?.setAttribute("open", "");
  control.closest(".field")?.removeAttribute("hidden");
  control.setAttribute("aria-invalid", "true");
  line.textContent = error.message;
  return true;
}
