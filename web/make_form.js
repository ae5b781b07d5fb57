/** The form of a new picture. */

import { button, el } from "./dom.js";
import { choices, field, select } from "./fields.js";

const SIZES = [
  ["1024x1024", "Square", 1],
  ["1536x1024", "Landscape", 1.5],
  ["1024x1536", "Portrait", 2 / 3],
  ["2048x1152", "Wide", 16 / 9],
  ["auto", "Auto", null],
  ["other", "Other", null],
];
const STYLES = [
  "Watercolour",
  "Oil painting",
  "Pencil sketch",
  "Flat illustration",
  "Paper cut",
  "Photo, soft daylight",
  "Isometric 3D",
  "Linocut print",
  "Children's book",
];
const FORMATS = [
  ["png", "PNG"],
  ["jpeg", "JPEG"],
  ["webp", "WebP"],
];
const BACKGROUNDS = [
  ["auto", "Automatic"],
  ["opaque", "Opaque"],
  ["transparent", "Transparent"],
];

/** Builds the fields from what the API allows and the draft says; `onchange` hears of every change. */
export function makeForm({ request, models }, draft, folders, onchange) {
  const value = (name) => draft[name] ?? request[name];
  const size = value("size");
  const known = SIZES.some(([name]) => name === size);

  const topics = [["", "Any"], ...request.topics.map((topic) => [topic, topic])];
  const topic = choices("topic", "Topic", topics, draft.topic ?? "", "chips");
  const idea = el("textarea", {
    name: "idea",
    id: "idea",
    rows: 4,
    maxlength: 32000,
    placeholder: "Our new teapot on a wooden table, morning light",
  });
  idea.value = draft.idea ?? "";
  const verbatim = el("input", { type: "checkbox", role: "switch", name: "verbatim", checked: draft.verbatim });
  const style = el("input", { name: "style", id: "style", list: "styles", maxlength: 200, placeholder: "Any", autocomplete: "off" });
  style.value = draft.style ?? "";
  const shapes = choices(
    "size",
    "Size",
    SIZES.map(([name, words, ratio]) => [
      name,
      words,
      { other: "your own", auto: "model decides" }[name] ?? name.replace("x", " × "),
      ratio,
    ]),
    known ? size : "other",
    "shapes",
  );
  const ownSize = el("input", {
    name: "own_size",
    id: "own-size",
    value: known ? "" : size,
    placeholder: "1600x1200",
    autocomplete: "off",
  });
  const model = el(
    "select",
    { name: "model", id: "model" },
    models.map(({ name }) => el("option", { value: name, selected: name === value("model") }, name)),
  );
  const quality = el("div");
  const count = el("input", { type: "number", name: "count", id: "count", min: 1, max: 10, value: value("count"), inputmode: "numeric" });
  const folder = el("input", {
    name: "folder_name",
    id: "folder_name",
    list: "folders",
    value: draft.folder_name ?? "",
    placeholder: request.folder_name,
    autocomplete: "off",
  });
  const format = select("output_format", FORMATS, value("output_format"));
  const background = select("background", BACKGROUNDS, value("background"));

  function step(by) {
    count.value = Math.min(10, Math.max(1, (Number(count.value) || 1) + by));
    form.dispatchEvent(new Event("input"));
  }
  function drawQualities() {
    const offered = ["auto", ...(models.find(({ name }) => name === model.value)?.qualities ?? ["low", "medium", "high"])];
    const chosen = form ? new FormData(form).get("quality") : value("quality");
    quality.replaceChildren(
      choices(
        "quality",
        "Quality",
        offered.map((name) => [name, name === "auto" ? "Auto" : name[0].toUpperCase() + name.slice(1)]),
        offered.includes(chosen) ? chosen : "medium",
        "segments",
      ),
    );
  }
  let form = null;
  drawQualities();
  form = el(
    "form",
    { class: "composer", id: "make", novalidate: true, "aria-label": "A new picture" },
    topic,
    field("idea", "Your idea", idea, "Leave it empty and Easel thinks of something.", { optional: true }),
    el(
      "label",
      { class: "switch" },
      verbatim,
      el("span", {}, "Paint my words as they are ", el("small", {}, "no chat model refines them")),
    ),
    field("style", "Style", style, null, { optional: true }),
    shapes,
    field("own-size", "Width x height", ownSize, "Divisible by 16, within 1:3 and 3:1, at most 3840x2160"),
    el(
      "div",
      { class: "pair" },
      quality,
      field(
        "count",
        "Pictures",
        el(
          "div",
          { class: "stepper" },
          button("One fewer", () => step(-1)),
          count,
          button("One more", () => step(1)),
        ),
        null,
      ),
    ),
    field("folder_name", "Folder", folder, null),
    el(
      "details",
      { open: Boolean(draft.model && draft.model !== request.model) },
      el("summary", {}, "Model, format, background"),
      el(
        "div",
        { class: "trio" },
        field("model", "Model", model, null),
        field("output_format", "Format", format, null),
        field("background", "Background", background, null),
      ),
    ),
    el(
      "datalist",
      { id: "styles" },
      STYLES.map((words) => el("option", { value: words })),
    ),
    el(
      "datalist",
      { id: "folders" },
      folders.map(({ name }) => el("option", { value: name })),
    ),
  );

  function changed() {
    style.disabled = verbatim.checked;
    ownSize.closest(".field").hidden = new FormData(form).get("size") !== "other";
    onchange();
  }
  model.addEventListener("change", drawQualities);
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  style.disabled = verbatim.checked;
  ownSize.closest(".field").hidden = known;
  return form;
}
