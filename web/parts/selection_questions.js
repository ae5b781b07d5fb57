/** The dialogs that ask before the selected images are changed. */

import { AskDialog } from "./ask_dialog.js";
import { html, useState } from "./elements.js";
import { MoveDialog } from "./move_dialog.js";
import { tagsIn } from "./tag_editor.js";

/** Asks the question with this name, and calls the answer of the same name. */
export function Question({ name, what, api, answers, onclose }) {
  if (name === "tag") return html`<${TagDialog} what=${what} answers=${answers} onclose=${onclose} />`;
  if (name === "share")
    return html`<${ShareDialog} what=${what} answers=${answers} onclose=${onclose} />`;
  if (name === "move")
    return html`
      <${MoveDialog} title="Move ${what}" api=${api} onmove=${answers.move} onclose=${onclose} />
    `;
  return html`
    <${AskDialog}
      title="Delete ${what}?" words="Delete ${what}" isDangerous
      onconfirm=${answers.delete} onclose=${onclose}
    >
      <p>You can restore them under Recently deleted for some time.</p>
    <//>
  `;
}

function TagDialog({ what, answers, onclose }) {
  const [typed, setTyped] = useState("");
  const [removes, setRemoves] = useState(false);
  const confirm = () => (removes ? answers.untag : answers.tag)(tagsIn(typed));
  return html`
    <${AskDialog}
      title="Tag ${what}" words=${removes ? "Remove tags" : "Add tags"}
      onconfirm=${confirm} onclose=${onclose}
    >
      <label for="many-tags">Tags, separated by commas</label>
      <input
        id="many-tags"
        dir="auto"
        required
        pattern=".*[^\\s,].*"
        autocomplete="off"
        value=${typed}
        oninput=${(event) => setTyped(event.target.value)}
      />
      <${Either}
        name="tagging" isSecond=${removes} onchange=${setRemoves}
        first="Add them" second="Remove them"
      />
    <//>
  `;
}

function ShareDialog({ what, answers, onclose }) {
  const [stops, setStops] = useState(false);
  return html`
    <${AskDialog}
      title="Share ${what}?" words=${stops ? "Stop sharing" : "Share"}
      onconfirm=${stops ? answers.unshare : answers.share} onclose=${onclose}
    >
      <p>Everyone who has the public link of a shared picture sees it.</p>
      <${Either}
        name="sharing" isSecond=${stops} onchange=${setStops}
        first="Share with public links" second="Stop sharing"
      />
    <//>
  `;
}

function Either({ name, first, second, isSecond, onchange }) {
  const option = (words, value) => html`
    <label>
      <input
        type="radio" name=${name} checked=${value === isSecond} onchange=${() => onchange(value)}
      />
      ${words}
    </label>
  `;
  return html`<div role="radiogroup" aria-label="What to do">
    ${option(first, false)} ${option(second, true)}
  </div>`;
}
