/** Presets in the form: choose one, save the form's fields as one, and delete one. */

import { explain } from "../client/api.js";
import { many } from "../client/format.js";
import { Button, html, useEffect, useState } from "./elements.js";
import { Field, Select } from "./form_fields.js";
import { note, say } from "./notices.js";
import { Thumbnail } from "./rows.js";

const RECENT = 8; // images that are offered as an example
const NAME_LENGTH = 40;
/** The fields that a preset can have, with their labels. The form has no control for LIKE_BEFORE. */
const LABELS = {
  style: "Style",
  avoid: "Avoid",
  size: "Size",
  quality: "Quality",
  folder_name: "Folder",
  tags: "Tags",
  reference_images: "Reference images",
  model: "Model",
  output_format: "Format",
  background: "Background",
  output_sizes: "Exact sizes",
  crop: "Crop",
  output_compression: "Compression",
  sizes_format: "Format of exact sizes",
  file_name: "File name",
};

const LIKE_BEFORE = ["output_compression", "sizes_format", "file_name"];

/** Returns a field's value in words. */
function wordsOf(name, value) {
  if (name === "reference_images") return many(value.length, "picture");
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** Chooses a preset of a MakeForm, and shows what it looks like and what it fixes. */
export function ChoosePreset({ form, problem }) {
  const { presets, values, preset } = form;
  if (!presets?.length && !values.preset) return null;
  const names = presets?.map(({ name }) => name) ?? [];
  if (values.preset && !names.includes(values.preset)) names.push(values.preset);
  const options = ["", ...names].map((value) => ({ value, label: value || "None" }));
  const select = (attributes) => html`
    <${Select}
      name="preset" options=${options} chosen=${values.preset} ...${attributes}
      onchoose=${(name) => form.choosePreset(name)}
    />
  `;
  return html`
    <${Field} id="preset" label="Preset" optional problem=${problem} control=${select} />
    ${preset && html`<${Chosen} key=${preset.name} form=${form} preset=${preset} />`}
  `;
}

function Chosen({ form, preset: { name, fields, thumbnail, declared } }) {
  const fixed = Object.keys(LABELS).filter((field) => Object.hasOwn(fields, field));
  return html`
    <div class="preset">
      ${thumbnail && html`<${Thumbnail} source=${thumbnail} />`}
      <div>
        <small>
          ${fixed.map((field) => `${LABELS[field]}: ${wordsOf(field, fields[field])}`).join(" · ")}
        </small>
        <small class="hint">
          ${" "}Your own values win. If you empty a field, the preset’s value applies again.${" "}
          ${declared && "This preset is declared in cdk.json; a deployment changes it."}
        </small>
        ${!declared && html`<${Delete} form=${form} name=${name} />`}
      </div>
    </div>
  `;
}

/** Deletes a preset at the second click. */
function Delete({ form, name }) {
  const [isArmed, setArmed] = useState(false);
  async function remove() {
    if (!isArmed) return setArmed(true);
    try {
      await form.api.deletePreset(name);
      form.setPresets(form.presets.filter((other) => other.name !== name), "");
      note(`The preset ${name} is deleted. Pictures that were made with it stay.`);
    } catch (error) {
      note(explain(error), { failed: true });
    }
  }
  return html`
    <div>
      <${Button} onclick=${remove} onblur=${() => setArmed(false)} icon="bin" class="quiet">
        ${isArmed ? `Really delete ${name} for everybody?` : "Delete this preset"}
      <//>
    </div>
  `;
}

/** The disclosure “Save as preset”. */
export function SavePreset({ form }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="snippets" ontoggle=${(event) => setOpen(event.target.open)}>
      <summary>Save as preset</summary>
      ${isOpen && html`<${SaveFields} form=${form} />`}
    </details>
  `;
}

function SaveFields({ form }) {
  const [name, setName] = useState(form.preset?.declared ? "" : form.values.preset);
  const [choices, setChoices] = useState({}); // whether a field is taken, once somebody chose
  const { example: before, thumbnail } = form.preset ?? {};
  const [example, setExample] = useState(thumbnail ? before : ""); // one that was deleted has none
  const [outcome, setOutcome] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const isHidden = ([field]) => LIKE_BEFORE.includes(field);
  const hidden = Object.entries(form.preset?.fields ?? {}).filter(isHidden);
  const request = { ...Object.fromEntries(hidden), ...form.ownRequest };
  const defaults = form.defaultRequest;
  const possible = Object.keys(LABELS).filter((field) => Object.hasOwn(request, field));
  const isChanged = (field) => JSON.stringify(request[field]) !== JSON.stringify(defaults[field]);
  const isTaken = (field) => choices[field] ?? isChanged(field);
  const taken = possible.filter(isTaken);
  const typed = name.trim();
  const isKnown = form.presets.some((preset) => preset.name === typed);
  const isDisabled = isBusy || !typed || !taken.length;

  async function save() {
    if (isDisabled) return;
    setBusy(true);
    try {
      const fields = Object.fromEntries(taken.map((field) => [field, request[field]]));
      const saved = await form.api.putPreset(typed, { fields, ...(example && { example }) });
      const others = form.presets.filter((preset) => preset.name !== typed);
      const all = [...others, saved].sort((one, other) => (one.name < other.name ? -1 : 1));
      form.setPresets(all, typed);
      setOutcome({ done: `Saved. ${typed} is chosen above.` });
      say(`The preset ${typed} is saved.`);
    } catch (error) {
      setOutcome({ error });
    }
    setBusy(false);
  }
  const isName = outcome?.error?.field === "name";
  const input = (attributes) => html`
    <input
      name="preset_name" autocomplete="off" maxlength=${NAME_LENGTH} value=${name}
      oninput=${(event) => setName(event.target.value)} ...${attributes}
    />
  `;
  const box = (field) => html`
    <label key=${field}>
      <input
        type="checkbox" name="preset_field" value=${field} checked=${isTaken(field)}
        onchange=${({ target }) => setChoices({ ...choices, [field]: target.checked })}
      />
      <span>${LABELS[field]}: ${wordsOf(field, request[field])}</span>
    </label>
  `;
  return html`
    <div class="boxes">
      <${Field}
        id="preset-name" label="Name of the preset" control=${input}
        hint=${isKnown ? `This replaces ${typed}.` : "Lowercase letters, digits, hyphens, such as brand."}
        problem=${isName ? "A name has 1 to 40 lowercase letters, digits and hyphens." : null}
      />
      <fieldset><legend>Fields to save</legend>${possible.map(box)}</fieldset>
      <${Example} form=${form} chosen=${example} onchoose=${setExample} />
      <${Button} onclick=${save} class="secondary" aria-disabled=${isDisabled ? "true" : null}>
        Save the preset
      <//>
      <p class=${outcome?.error ? "wrong" : null} role="status">
        ${outcome?.done}${outcome?.error && !isName && explain(outcome.error)}
      </p>
    </div>
  `;
}

/** A recent picture that shows what the preset looks like, or none. */
function Example({ form, chosen, onchoose }) {
  const { api, signal } = form;
  const [images, setImages] = useState([]);
  useEffect(() => {
    const nothing = () => ({ images: [] });
    api.images({ limit: RECENT }, signal).catch(nothing).then((page) => setImages(page.images));
  }, []);
  const { example: id, thumbnail } = form.preset ?? {};
  const isOld = thumbnail && !images.some((image) => image.id === id);
  if (!images.length && !isOld) return null;
  const option = (id, words, source) => html`
    <label key=${id}>
      <input
        type="radio" name="preset_example" value=${id} checked=${id === chosen} aria-label=${words}
        onchange=${() => onchoose(id)}
      />
      ${source ? html`<${Thumbnail} source=${source} />` : words}
    </label>
  `;
  return html`
    <fieldset class="thumbnails">
      <legend>Example<small> optional</small></legend>
      <div>
        ${option("", "None")}
        ${isOld && option(id, "Current example", thumbnail)}
        ${images.map(({ id, title, links }) => option(id, title || "Untitled", links?.thumbnail))}
      </div>
    </fieldset>
  `;
}
