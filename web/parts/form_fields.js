/** The controls of a form, each with its hint and the problem that the API reports for it. */

import { html } from "./elements.js";

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
