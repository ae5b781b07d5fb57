/** The budgets of the month, of people and of folders. Administrators change them. */

import { explain } from "../client/api.js";
import { left, money } from "../client/format.js";
import { announceBudgetChanged } from "./access.js";
import { Button, html, useState } from "./elements.js";
import { FolderNames } from "./folder_names.js";
import { Choices, Field } from "./form_fields.js";
import { say } from "./notices.js";

const KINDS = [
  { value: "person", label: "A person" },
  { value: "folder", label: "A folder" },
];
const NOT_A_NUMBER = "Type a number of dollars, such as 25 or 0.5. 0 stops all spending.";

/** Shows `budgets`, the API's answer. `onchange(budgets)` is called with each new one. */
export function Budgets({ budgets, people, api, onchange }) {
  const [open, setOpen] = useState(null); // the row whose form is open, or "new"
  const close = () => setOpen(null);
  /** Changes a budget. It throws the API's error. */
  async function save(body, words) {
    onchange(await api.putBudget(body));
    announceBudgetChanged();
    close();
    say(words);
    document.getElementById("budgets").focus();
  }
  const scopes = budgets.scopes.map((scope) => ({ ...scope, id: `${scope.kind} ${scope.value}` }));
  const shared = { open, setOpen, save, isAdministrator: api.mayAdminister };
  const row = (scope) => html`
    <${Row} key=${scope.id} scope=${scope} name=${nameOf(scope)} ...${shared} />
  `;
  return html`
    <section aria-labelledby="budgets" class="budgets">
      <h2 id="budgets" tabindex="-1">Budgets of this month</h2>
      <ul class="rows">
        <${Row} scope=${{ ...budgets.month, id: "month" }} name="Everything" ...${shared} />
        ${scopes.map(row)}
      </ul>
      ${api.mayAdminister
        ? open === "new"
          ? html`
              <${NewBudget} people=${people} api=${api} save=${save} onclose=${close} />
            `
          : html`
              <${Button} onclick=${() => setOpen("new")} icon="add" class="secondary">
                Add a budget for a person or a folder
              <//>
            `
        : html`<p class="hint">Somebody with the role <em>administer</em> can change budgets.</p>`}
    </section>
  `;
}

const nameOf = ({ kind, name, value }) => name ?? (kind === "person" ? `Person ${value}` : value);

function Row({ scope, name, open, setOpen, save, isAdministrator }) {
  const { id, kind, cap_usd: cap, spent_usd: spent, reserved_usd: reserved, left_usd: rest } = scope;
  const facts = [
    kind === "folder" ? "Folder, with the folders inside" : kind === "person" && "Person",
    `${money(spent)} spent`,
    reserved > 0 && `${money(reserved)} reserved`,
    cap == null ? "no limit" : `${left(rest)} left of ${money(cap)}`,
  ];
  const body = kind ? { [kind]: scope.value } : {};
  const remove = () => save({ ...body, usd: null }, `${name} has no limit any more.`);
  return html`
    <li>
      <div class="main">
        <strong>${name}</strong>
        <small>${facts.filter(Boolean).join(" · ")}</small>
        ${open === id &&
        html`
          <${Amount}
            id="budget-usd" cap=${cap} onclose=${() => setOpen(null)}
            onremove=${kind && cap != null ? remove : null}
            onsave=${(usd) => save({ ...body, usd }, `The budget of ${name} has changed.`)}
          />
        `}
      </div>
      ${isAdministrator &&
      open !== id &&
      html`
        <${Button}
          onclick=${() => setOpen(id)} icon="edit" class="secondary" aria-label="Change: ${name}"
        >
          Change
        <//>
      `}
    </li>
  `;
}

/** Returns an amount as the API takes it. What is not a number is sent as it was typed. */
const amountOf = (text) => (text && Number.isFinite(Number(text)) ? Number(text) : text);

/** A form for an amount. `onsave(usd)` and `onremove()` may throw an API error. */
function Amount({ id, cap, onsave, onremove, onclose }) {
  const [text, setText] = useState(cap == null ? "" : String(cap));
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  async function act(call) {
    if (isBusy) return;
    setBusy(true);
    try {
      return await call();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  }
  function submit(event) {
    event.preventDefault();
    act(() => onsave(amountOf(text.trim())));
  }
  return html`
    <form class="amount" novalidate onsubmit=${submit}>
      <${Usd} id=${id} text=${text} onchange=${setText} problem=${error && problemOf(error)} />
      <div class="row">
        <button type="submit" aria-disabled=${isBusy ? "true" : null}>Save</button>
        ${onremove &&
        html`<${Button} onclick=${() => act(onremove)} class="secondary">Remove the limit<//>`}
        <${Button} onclick=${onclose} class="quiet">Cancel<//>
      </div>
    </form>
  `;
}

const problemOf = (error) => (error.field === "usd" ? NOT_A_NUMBER : explain(error));

function Usd({ id, text, onchange, problem }) {
  const input = (attributes) => html`
    <input
      name="usd" inputmode="decimal" autocomplete="off" value=${text}
      oninput=${(event) => onchange(event.target.value)} ...${attributes}
    />
  `;
  return html`
    <${Field} id=${id} label="Dollars in a month" problem=${problem} control=${input} />
  `;
}

/** Returns what names a person or a folder in a request. All programs have the same name. */
const idOf = ({ id, name }) => (id && !name.includes("@") ? id : name);

function PersonNames({ people }) {
  return html`
    <datalist id="budget-names">
      ${people.map(
        ({ id, name }) => html`
          <option key=${id ?? name} value=${idOf({ id, name })}>${name}</option>
        `,
      )}
    </datalist>
  `;
}

/** A form for the budget of another person or folder. */
function NewBudget({ people, api, save, onclose }) {
  const [values, setValues] = useState({ kind: "person", name: "", usd: "" });
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const change = (name) => (value) => (setError(null), setValues({ ...values, [name]: value }));
  const { kind } = values;
  async function submit(event) {
    event.preventDefault();
    const name = values.name.trim();
    if (isBusy) return;
    if (!name) return setError({ field: kind, message: "Type a name" });
    setBusy(true);
    try {
      return await save({ [kind]: name, usd: amountOf(values.usd.trim()) }, `${name} has a budget.`);
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  }
  const isAmount = error?.field === "usd";
  const name = (attributes) => html`
    <input
      name="budget_name" list="budget-names" autocomplete="off" dir="auto" value=${values.name}
      oninput=${(event) => change("name")(event.target.value)} ...${attributes}
    />
  `;
  return html`
    <form class="composer amount" novalidate aria-label="A new budget" onsubmit=${submit}>
      <${Choices}
        name="budget_kind" label="For" options=${KINDS} chosen=${kind} look="segments"
        onchoose=${change("kind")}
      />
      <${Field}
        id="budget-name"
        label=${kind === "person" ? "Mail address" : "Folder"}
        hint=${kind === "person" ? "Somebody who has signed in or was added, or a program’s id." : "It includes the folders inside."}
        problem=${error && !isAmount ? `${explain(error)}` : null}
        control=${name}
      />
      ${kind === "folder" && html`<${FolderNames} id="budget-names" api=${api} typed=${values.name} />`}
      ${kind === "person" && html`<${PersonNames} people=${people} />`}
      <${Usd}
        id="new-budget-usd" text=${values.usd} onchange=${change("usd")}
        problem=${isAmount ? NOT_A_NUMBER : null}
      />
      <div class="row">
        <button type="submit" aria-disabled=${isBusy ? "true" : null}>Add</button>
        <${Button} onclick=${onclose} class="quiet">Cancel<//>
      </div>
    </form>
  `;
}
