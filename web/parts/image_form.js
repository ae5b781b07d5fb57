/** The fields of the form that makes images. */

import {
  choicesOf,
  fieldOf,
  namedSizesOf,
  outputSizesOf,
  problemOf as sentenceOf,
  sizeRuleOf,
} from "../client/form_values.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";
import { ExactSizes } from "./exact_sizes_form.js";
import { FolderNames } from "./folder_names.js";
import { Chips, Choices, Count, Field, Select } from "./form_fields.js";
import { ChoosePreset } from "./presets.js";
import { References } from "./reference_images.js";

const OTHER_SIZE = { value: "other", label: "Other", small: "type it" };
const sizeOption = ([value, label, ratio]) => ({
  value, label, ratio, small: ratio ? value.replace("x", " × ") : "model decides",
});
const EXAMPLE = "Our new teapot on a wooden table, morning light";
const EDIT_EXAMPLE = "Make the teapot blue";
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
/** The labels of choices that are not just their name with a capital letter. */
const LABELS = {
  output_format: { png: "PNG", jpeg: "JPEG", webp: "WebP" },
  background: { auto: "Automatic" },
};
const TAGS_HINT = "Such as a campaign, to search and to count spending. Separate them with commas.";
const AVOID_HINT = "Such as text or people. Separate them with commas.";
const RARE_FIELDS = ["model", "output_format", "background"];

/** Shows the fields of a MakeForm. Its error is shown at the field that it is about. */
export function ImageFields({ form }) {
  const { values, limits, stack, error } = form;
  const problemOf = (name) => (fieldOf(error) === name ? sentenceOf(error, values) : null);
  const change = (name) => (value) => form.change({ [name]: value });
  const shared = { form, change, problemOf };
  return html`
    <${ChoosePreset} form=${form} problem=${problemOf("preset")} />
    <${Choices}
      name="topic"
      label="Topic"
      options=${[{ value: "", label: "Any" }, ...topicsOf(stack, values).map(plain)]}
      chosen=${values.topic}
      look="chips"
      problem=${problemOf("topic")}
      onchoose=${change("topic")}
    />
    <${References} form=${form} problem=${problemOf("reference_images")} />
    <${Words} ...${shared} />
    ${!outputSizesOf(values).length && html`<${Size} ...${shared} />`}
    <div class="pair">
      <div>
        <${Choices}
          name="quality"
          label="Quality"
          options=${optionsOf("quality", choicesOf("quality", values, limits, form.models))}
          chosen=${values.quality}
          look="segments"
          problem=${problemOf("quality")}
          onchoose=${change("quality")}
        />
      </div>
      <${Count}
        id="count" label="Pictures" value=${values.count} limit=${limits.count}
        problem=${problemOf("count")} onchange=${change("count")}
      />
    </div>
    <${Folder} ...${shared} />
    <${Chips}
      id="tags" label="Tags" hint=${listHint(form, "tags", TAGS_HINT)} items=${values.tags}
      limit=${limits.tags} problem=${problemOf("tags")} onchange=${change("tags")}
    />
    <${ExactSizes} ...${shared} />
    ${form.api.shares && html`<${Share} ...${shared} />`}
    <${RareFields} ...${shared} />
  `;
}

/** Returns the hint of a list: what the preset has instead if it is empty. */
function listHint({ base, values }, name, hint) {
  if (values[name].length || !base[name].length) return hint;
  return `Empty, so the preset’s values apply: ${base[name].join(", ")}`;
}

/** A share is public as soon as the picture is stored, so it is off unless somebody turns it on. */
function Share({ form, change, problemOf }) {
  return html`
    <label class="switch">
      <input
        type="checkbox"
        role="switch"
        name="share"
        checked=${form.values.share}
        aria-describedby="share-problem"
        onchange=${(event) => change("share")(event.target.checked)}
      />
      <span>Share with a public link <small>everyone who has the link sees it</small></span>
    </label>
    <small id="share-problem" class="problem">${problemOf("share")}</small>
  `;
}

/** Returns the stack's topics, and the chosen one if it is another, such as a reused one. */
const topicsOf = ({ topics }, { topic }) =>
  topic && !topics.includes(topic) ? [...topics, topic] : topics;

const plain = (name) => ({ value: name, label: name });

const optionsOf = (field, names) =>
  names.map((value) => ({
    value,
    label: LABELS[field]?.[value] ?? value[0].toUpperCase() + value.slice(1),
  }));

const typedInto = (change) => (event) => change(event.target.value);

function Words({ form, change, problemOf }) {
  const { values, limits, base } = form;
  const isEdit = values.purpose === "edit";
  const idea = (attributes) => html`
    <textarea
      name="idea"
      dir="auto"
      rows="4"
      maxlength=${Math.max(limits.description.max_length, limits.prompt.max_length)}
      placeholder=${isEdit ? EDIT_EXAMPLE : EXAMPLE}
      value=${values.idea}
      oninput=${typedInto(change("idea"))}
      ...${attributes}
    ></textarea>
  `;
  const style = (attributes) => html`
    <input
      name="style"
      dir="auto"
      list="styles"
      maxlength=${limits.style.max_length}
      placeholder=${base.style || "Any"}
      autocomplete="off"
      disabled=${values.verbatim}
      value=${values.style}
      oninput=${typedInto(change("style"))}
      ...${attributes}
    />
  `;
  return html`
    <${Field}
      id="idea"
      label=${isEdit ? "What should change?" : "Your idea"}
      optional=${!isEdit}
      hint=${isEdit ? "The rest of Image 1 stays mostly as it is." : "Leave it empty to be surprised."}
      problem=${problemOf("idea")}
      control=${idea}
    />
    <label class="switch">
      <input
        type="checkbox"
        role="switch"
        name="verbatim"
        checked=${values.verbatim}
        onchange=${(event) => change("verbatim")(event.target.checked)}
      />
      <span>Use my text exactly <small>skip the prompt writer</small></span>
    </label>
    <${Field} id="style" label="Style" optional problem=${problemOf("style")} control=${style} />
    <datalist id="styles">${STYLES.map((name) => html`<option value=${name} />`)}</datalist>
    ${!values.verbatim &&
    html`
      <${Chips}
        id="avoid" label="Avoid" hint=${listHint(form, "avoid", AVOID_HINT)} items=${values.avoid}
        limit=${limits.avoid} problem=${problemOf("avoid")} onchange=${change("avoid")}
      />
    `}
  `;
}

function Size({ form, problemOf }) {
  const { values, typedSize, isSizeTyped } = form;
  const problem = problemOf("size");
  const choose = (value) => form.chooseSize(value === OTHER_SIZE.value ? null : value);
  /** Takes a nearest size. Its button goes away, so the focus goes to the field. */
  function take(size) {
    form.typeSize(size);
    document.getElementById("own-size").focus();
  }
  const typed = (attributes) => html`
    <input
      name="own_size"
      placeholder="1600x1200"
      autocomplete="off"
      value=${typedSize}
      oninput=${typedInto((size) => form.typeSize(size))}
      ...${attributes}
    />
  `;
  return html`
    <${Choices}
      name="size"
      label="Size"
      options=${[...namedSizesOf(values, form.models).map(sizeOption), OTHER_SIZE]}
      chosen=${isSizeTyped ? OTHER_SIZE.value : values.size}
      look="shapes"
      onchoose=${choose}
    />
    <${Field}
      id="own-size"
      label="Width x height"
      hint=${sizeRuleOf(values, form.models)}
      hidden=${!isSizeTyped && !problem}
      problem=${problem}
      control=${typed}
    />
    ${problem && html`<${NearestSizes} sizes=${form.error.nearest} onchoose=${take} />`}
  `;
}

/** The sizes that the API offers instead of a refused one, if it names any. */
function NearestSizes({ sizes = [], onchoose }) {
  if (!sizes.length) return null;
  const button = (size) => html`
    <${Button} key=${size} onclick=${() => onchoose(size)} class="secondary">${size}<//>
  `;
  return html`
    <div class="nearest" role="group" aria-label="Nearest sizes">
      <span>Nearest sizes</span>${sizes.map(button)}
    </div>
  `;
}

function Folder({ form: { api, values, base, stack }, change, problemOf }) {
  const input = (attributes) => html`
    <input
      name="folder_name"
      dir="auto"
      list="folders"
      placeholder=${base.folder_name || stack.folder_name}
      autocomplete="off"
      value=${values.folder_name}
      oninput=${typedInto(change("folder_name"))}
      ...${attributes}
    />
  `;
  const id = "folder_name";
  return html`
    <${Field} id=${id} label="Folder" problem=${problemOf(id)} control=${input} />
    <${FolderNames} id="folders" api=${api} typed=${values.folder_name} />
  `;
}

function RareFields({ form, change, problemOf }) {
  const { limits, models, values, stack } = form;
  const details = useRef();
  const [startsOpen] = useState(values.model !== stack.model);
  const hasProblem = RARE_FIELDS.some(problemOf);
  useLayoutEffect(() => {
    if (hasProblem) details.current.open = true;
  }, [hasProblem]);
  const select = (name, label, options) => html`
    <${Field}
      id=${name}
      label=${label}
      problem=${problemOf(name)}
      control=${(attributes) => html`
        <${Select}
          name=${name}
          options=${options}
          chosen=${values[name]}
          onchoose=${change(name)}
          ...${attributes}
        />
      `}
    />
  `;
  const formats = optionsOf("output_format", limits.output_format.choices);
  const backgrounds = choicesOf("background", values, limits, models);
  return html`
    <details ref=${details} open=${startsOpen}>
      <summary>Model, format, background</summary>
      <div class="trio">
        ${select("model", "Model", models.map(({ name }) => plain(name)))}
        ${select("output_format", "Format", formats)}
        ${select("background", "Background", optionsOf("background", backgrounds))}
      </div>
    </details>
  `;
}
