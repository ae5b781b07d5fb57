/** The controls of a form, each with its hint and the problem that the API reports for it. */

import { Button, html, useState } from "./elements.js";

/** A labelled control. `control(attributes)` returns it; the attributes are those of its input. */
export function Field({ id, label, optional, hint, problem, hidden, control }) {
  const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" ");
  return html`
    <div class="field" hidden=${Boolean(hidden)}>
      <label for=${id}>${label}${optional && html`<small> optional</small>`}</label>
      ${control({ id, "aria-describedby": described, ...invalid(problem) })}
      ${hint && html`<small id="${id}-hint" class="hint">${hint}</small>`}
      <small id="${id}-problem" class="problem">${problem}</small>
    </div>
  `;
}

/**
 * One of a few, as chips, segments or shapes.
 *
 * An option is `{ value, label, small, ratio }`. The look "shapes" draws each one's ratio.
 */
export function Choices({ name, label, options, chosen, look, problem, onchoose }) {
  const box = ({ value, label: words, small, ratio }) => html`
    <label key=${value}>
      <input
        type="radio"
        name=${name}
        value=${value}
        checked=${value === chosen}
        onchange=${() => onchoose(value)}
      />
      ${look === "shapes" && html`<${Shape} ratio=${ratio} />`}
      <span>${words}${small && html`<small>${small}</small>`}</span>
    </label>
  `;
  return html`
    <fieldset class=${look} id=${name} aria-describedby="${name}-problem" ...${invalid(problem)}>
      <legend>${label}</legend>
      <div>${options.map(box)}</div>
      <small id="${name}-problem" class="problem">${problem}</small>
    </fieldset>
  `;
}

function Shape({ ratio }) {
  return ratio
    ? html`<span class="shape" aria-hidden="true" style=${{ "--ratio": ratio }}></span>`
    : html`<span class="shape free" aria-hidden="true"></span>`;
}

/** A number as text, with buttons for one fewer and one more. */
export function Count({ id, label, value, limit: { minimum, maximum }, problem, onchange }) {
  const step = (by) => () => {
    const count = (Number(value) || minimum) + by;
    onchange(String(Math.min(maximum, Math.max(minimum, count))));
  };
  const stepper = (attributes) => html`
    <div class="stepper">
      <${Button} onclick=${step(-1)}>One fewer<//>
      <input
        type="number"
        name=${id}
        min=${minimum}
        max=${maximum}
        inputmode="numeric"
        value=${value}
        oninput=${(event) => onchange(event.target.value)}
        ...${attributes}
      />
      <${Button} onclick=${step(1)}>One more<//>
    </div>
  `;
  return html`<${Field} id=${id} label=${label} problem=${problem} control=${stepper} />`;
}

/**
 * A list of short texts, each a chip that can be removed. A comma or Enter ends one.
 *
 * `limit` is the field's in config.json: how many, and how long each may be.
 */
export function Chips({ id, label, hint, items, limit, suggestions = [], problem, onchange }) {
  const [text, setText] = useState("");
  const most = limit.most;
  function add(typed) {
    const words = typed.split(",").map((word) => word.trim()).filter(Boolean);
    setText("");
    if (words.length) onchange([...new Set([...items, ...words])].slice(0, most));
  }
  const remove = (item) => {
    onchange(items.filter((other) => other !== item));
    document.getElementById(id)?.focus();
  };
  function watchKeys({ key }) {
    if (key === "Enter") add(text);
    if (key === "Backspace" && !text && items.length) remove(items.at(-1));
  }
  const type = ({ target: { value } }) => (value.includes(",") ? add(value) : setText(value));
  const control = (attributes) => html`
    <div class="chip-list">
      ${items.map(
        (item) => html`
          <${Button} key=${item} onclick=${() => remove(item)} icon="cross" aria-label="Remove ${item}">
            ${item}
          <//>
        `,
      )}
      <input
        name=${id} dir="auto" autocomplete="off" maxlength=${most * (limit.each.max_length + 2)}
        list="${id}-list" value=${text} readonly=${items.length >= most} oninput=${type} onkeydown=${watchKeys}
        onblur=${() => add(text)} ...${attributes}
      />
      <datalist id="${id}-list">${suggestions.map((word) => html`<option value=${word} />`)}</datalist>
    </div>
  `;
  const words = items.length >= most ? `The limit is ${most}.` : hint;
  return html`
    <${Field} id=${id} label=${label} optional hint=${words} problem=${problem} control=${control} />
  `;
}

/** One of a list of `{ value, label }`. */
export function Select({ options, chosen, onchoose, ...attributes }) {
  return html`
    <select onchange=${(event) => onchoose(event.target.value)} ...${attributes}>
      ${options.map(
        ({ value, label }) => html`
          <option key=${value} value=${value} selected=${value === chosen}>${label}</option>
        `,
      )}
    </select>
  `;
}

const invalid = (problem) => (problem ? { "aria-invalid": "true" } : {});
