/** The prompt first: a run writes it, somebody reads and edits it, and then it is painted. */

import { goTo } from "../client/address.js";
import { explain } from "../client/api.js";
import { editedPrompt, keepEditedPrompt, keepRequestAsDraft } from "../client/drafts.js";
import { many, upTo } from "../client/format.js";
import { noteStarted } from "../client/run_polling.js";
import { Button, html, useState } from "./elements.js";
import { Field } from "./form_fields.js";
import { say } from "./notices.js";

/** The button that starts such a run. A finished prompt is not written. */
export function WriteFirst({ form: { values, price }, isDisabled, onwrite }) {
  if (values.verbatim) return null;
  const { prompt_usd: usd } = price.estimate;
  const cost = usd == null ? "at the price of the chat call" : `for up to ${upTo(usd)}`;
  return html`
    <p class="first">
      <${Button} onclick=${onwrite} icon="edit" class="quiet" aria-disabled=${isDisabled ? "true" : null}>
        Write the prompt first<small> ${cost}</small>
      <//>
    </p>
  `;
}

/** The prompt of a run that has only written it. Edits are kept while somebody looks elsewhere. */
export function WrittenPrompt({ run, api, limits }) {
  const { run_id: id, written_prompt: written, paint_usd: usd, request } = run;
  const [text, setText] = useState(() => editedPrompt(id) ?? written);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const words = text.trim();
  const isEdited = words !== written.trim();

  function edit(value) {
    setText(value);
    setError(null);
    keepEditedPrompt(id, value === written ? undefined : value);
  }
  async function paint() {
    if (isBusy || !words) return;
    setBusy(true);
    try {
      const painting = await api.paint(run.id, isEdited ? { prompt: words } : {});
      keepEditedPrompt(id, undefined);
      noteStarted(painting);
      say("Painting.");
      goTo(`#run/${encodeURIComponent(painting.id)}`);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }
  function reuse() {
    const { description: _, style: __, avoid: ___, ...rest } = request;
    keepRequestAsDraft({ ...rest, prompt: words });
    goTo("#make");
  }
  const area = (attributes) => html`
    <textarea
      name="written_prompt" dir="auto" rows="8" maxlength=${limits.edited_prompt.max_length}
      readonly=${!api.mayMake} value=${text} oninput=${(event) => edit(event.target.value)}
      ...${attributes}
    ></textarea>
  `;
  const price = usd == null ? "The price is not known." : `For up to ${upTo(usd)}. The prompt is paid.`;
  return html`
    <div class="written">
      <${Field}
        id="written_prompt" label="The prompt" control=${area}
        hint=${isEdited ? "Your version is painted, and is kept in this tab until then." : "You can edit it."}
        problem=${words ? null : "The prompt is empty."}
      />
      ${api.mayMake &&
      html`
        <p>${price}</p>
        <div class="row">
          <${Button} onclick=${paint} icon="brush" aria-disabled=${isBusy || !words ? "true" : null}>
            ${isBusy ? "Sending…" : `Paint ${many(run.count ?? 1, "picture")}`}
          <//>
          ${isEdited &&
          html`<${Button} onclick=${() => edit(written)} class="quiet">Undo my changes<//>`}
          ${request && html`<${Button} onclick=${reuse} class="secondary">Use as a new request<//>`}
        </div>
      `}
      ${error && html`<p class="wrong" role="alert">${wordsOf(error)}</p>`}
    </div>
  `;
}

/** A conflict: it is painted already, perhaps from another prompt or in another tab. */
const wordsOf = (error) =>
  error.status === 409
    ? `${explain(error)} Load this page again to see it, or use the prompt as a new request.`
    : explain(error);
