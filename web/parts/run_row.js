/** A run in the list: its picture, what was asked for, its cost and error, and what can be done. */

import { goTo } from "../client/address.js";
import { explain } from "../client/api.js";
import { keepRequestAsDraft } from "../client/drafts.js";
import { many, money, span, when } from "../client/format.js";
import { Button, html, useState } from "./elements.js";
import { note, say } from "./notices.js";
import { Thumbnail } from "./rows.js";
import { nameOf, outcomeOf } from "./run_steps.js";

/** `who` is the name of the person who started it, if it is known and somebody else. */
export function RunRow({ run, who, api, list, isSelected, onselect }) {
  const [look, outcome] = outcomeOf(run);
  const facts = [
    when(run.started),
    run.status === "running" ? `running for ${span(run.started)}` : span(run.started, run.ended),
    run.action === "create" && run.count > 1 && many(run.count, "picture"),
    who && `by ${who}`,
  ];
  const price = run.action === "create" && !run.dry_run && run.status !== "running";
  const name = nameOf(run);
  return html`
    <li>
      <span class="pick">
        ${run.can_redrive && api.mayMake &&
        html`
          <input
            type="checkbox"
            aria-label="Select ${name}"
            checked=${isSelected}
            onchange=${({ target }) => onselect(run.id, target.checked)}
          />
        `}
      </span>
      <${Thumbnail} source=${run.thumbnail} />
      <div class="main">
        <a href="#run/${encodeURIComponent(run.id)}">${name}</a>
        <small>${facts.filter(Boolean).join(" · ")}</small>
        ${run.error && html`<small class="wrong">${run.error.title}</small>`}
      </div>
      <span class="badge ${look}">${outcome}</span>
      <span class="price">${price && money(run.cost_usd)}</span>
      <span class="deed"><${RowAction} run=${run} api=${api} list=${list} /></span>
    </li>
  `;
}

/** Resumes a run, or fills the form with its request if only another request helps. */
function RowAction({ run, api, list }) {
  const [isBusy, setBusy] = useState(false);
  const isShort = run.refused > 0 || !["running", "succeeded"].includes(run.status);
  if (!api.mayMake || (!run.can_redrive && !(isShort && run.action === "create"))) return null;
  async function act(call) {
    if (isBusy) return;
    setBusy(true);
    try {
      await call();
    } catch (error) {
      note(explain(error), { failed: true });
    }
    setBusy(false);
  }
  const resume = () =>
    act(async () => {
      await api.redrive(run.id);
      say("Resuming. You pay only for what is missing.");
      await list.refresh();
    });
  const retry = () =>
    act(async () => {
      const { request } = await api.run(run.id);
      if (!request) throw new Error("Its request cannot be used again.");
      keepRequestAsDraft(request);
      goTo("#make");
    });
  const name = nameOf(run);
  const [words, icon, call] = run.can_redrive
    ? ["Resume", "play", resume]
    : ["Change and try again", "brush", retry];
  return html`
    <${Button}
      onclick=${call}
      icon=${icon}
      class="secondary"
      aria-label="${words}: ${name}"
      aria-disabled=${isBusy ? "true" : null}
    >
      ${words}
    <//>
  `;
}
