/** The form's exact sizes: some by name, others in pixels, and how they are cropped. */

import { outputSizesOf } from "../client/form_values.js";
import { html, useLayoutEffect, useRef, useState } from "./elements.js";
import { Field, Select } from "./form_fields.js";

const CROPS = [
  { value: "focus", label: "Keep the part with the most detail" },
  { value: "center", label: "Keep the centre" },
];
/** How brands write the words of the names. */
const WORDS = { linkedin: "LinkedIn", youtube: "YouTube", hd: "HD" };

/** Returns a name in words, such as "Open graph". */
function wordsOf(name) {
  const words = name.split("-").map((word) => WORDS[word] ?? word).join(" ");
  return words[0].toUpperCase() + words.slice(1);
}

/** Shows the sizes as closed details, open if some are chosen or wrong. */
export function ExactSizes({ form, change, problemOf }) {
  const { values, limits } = form;
  const { named, most } = limits.output_sizes;
  const problem = problemOf("output_sizes");
  const details = useRef();
  const chosen = outputSizesOf(values);
  const [startsOpen] = useState(chosen.length > 0);
  useLayoutEffect(() => {
    if (problem) details.current.open = true;
  }, [problem]);
  const toggle = (name) => (event) => {
    const others = values.output_sizes.filter((other) => other !== name);
    change("output_sizes")(event.target.checked ? [...others, name] : others);
  };
  const box = ([name, [width, height]]) => html`
    <label key=${name}>
      <input
        type="checkbox"
        name="output_sizes"
        value=${name}
        checked=${values.output_sizes.includes(name)}
        onchange=${toggle(name)}
      />
      <span>${wordsOf(name)} <small>${width} × ${height}</small></span>
    </label>
  `;
  const own = (attributes) => html`
    <input
      name="own_sizes"
      placeholder="1200x628, 800x800"
      autocomplete="off"
      value=${values.own_sizes}
      oninput=${(event) => change("own_sizes")(event.target.value)}
      ...${attributes}
    />
  `;
  const crop = (attributes) => html`
    <${Select}
      name="crop"
      options=${CROPS}
      chosen=${values.crop}
      onchoose=${change("crop")}
      ...${attributes}
    />
  `;
  return html`
    <details ref=${details} open=${startsOpen} class="exact">
      <summary>Exact sizes${chosen.length > 0 && ` (${chosen.length})`}</summary>
      <fieldset class="chips">
        <legend>For</legend>
        <div>${Object.entries(named).map(box)}</div>
      </fieldset>
      <${Field}
        id="output_sizes"
        label="Others, in pixels"
        hint=${`Up to ${most} sizes are cut out of each picture. Easel chooses the cheapest picture that is large enough.`}
        problem=${problem}
        control=${own}
      />
      ${chosen.length > 0 && html`<${Field} id="crop" label="Crop" control=${crop} />`}
    </details>
  `;
}
