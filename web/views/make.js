/** The view that makes images: the form, the price before the click, and the newest images. */

import { goTo } from "../client/address.js";
import {
  earlierDraft,
  forgetEarlierDraft,
  readDraft,
  restoreEarlierDraft,
  shortened,
  summaryOf,
} from "../client/drafts.js";
import { fieldOf } from "../client/form_values.js";
import { many, upTo } from "../client/format.js";
import { MakeForm, priceOf } from "../client/make_form.js";
import { noteStarted } from "../client/run_polling.js";
import { LookOnly } from "../parts/access.js";
import { ApiSnippets } from "../parts/api_snippets.js";
import { CarriedFields } from "../parts/carried_fields.js";
import {
  Button,
  Icon,
  html,
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef,
  useState,
} from "../parts/elements.js";
import { ImageFields } from "../parts/image_form.js";
import { ImageGrid } from "../parts/image_grid.js";
import { usePagedList } from "../parts/list_end.js";
import { note, say } from "../parts/notices.js";
import { Empty, Failed, Loading } from "../parts/placeholders.js";
import { SavePreset } from "../parts/presets.js";
import { WriteFirst } from "../parts/prompt_first.js";
import { loadReferenceList } from "../parts/reference_images.js";
import { Repeat } from "../parts/repeat.js";

const NEWEST = 12;

/** Reads what the view starts with. */
export async function load({ api, signal }) {
  const noPresets = () => ({ presets: null }); // an older API has none
  const [offer, { presets }] = await Promise.all([
    api.estimate({}, signal),
    api.presets(signal).catch(noPresets),
    readDraft().reference_images?.length && loadReferenceList(),
  ]);
  return { offer, presets };
}

export function View({ api, signal, limits, loaded }) {
  if (!api.mayMake)
    return html`
      <h1 tabindex="-1">Newest pictures</h1>
      <${LookOnly}>It lets you see pictures, runs and spending, but not make pictures.<//>
      <${Newest} api=${api} signal=${signal} />
    `;
  return html`
    <h1 tabindex="-1">Make a picture</h1>
    <div class="studio">
      <${Composer} api=${api} signal=${signal} limits=${limits} ...${loaded} />
      <${Newest} api=${api} signal=${signal} />
    </div>
  `;
}

function Composer(services) {
  const [, redraw] = useReducer((number) => number + 1, 0);
  function onstart(run) {
    noteStarted(run);
    location.hash = `#run/${encodeURIComponent(run.id)}`;
  }
  const [form] = useState(() => new MakeForm({ ...services, say, note, onchange: redraw, onstart }));
  const element = useRef();
  useEffect(() => {
    form.resume();
    if (form.isEditWithoutWords) showEdit();
  }, []);
  useLayoutEffect(() => {
    if (form.failure) focusProblem();
  }, [form.failure]);

  /** Asks what should change, with the picture in sight. */
  function showEdit() {
    element.current.querySelector("#reference_images").scrollIntoView();
    element.current.querySelector("#idea").focus({ preventScroll: true });
  }

  /** Shows the field that is wrong, above the bar with the price. */
  function focusProblem() {
    const field = element.current.querySelector("[aria-invalid]");
    field?.scrollIntoView({ block: "center" });
    (field?.querySelector("input:checked") ?? field)?.focus({ preventScroll: true });
  }

  /** Only Ctrl+Enter and the button buy. Enter in a text field would buy by accident. */
  function watchKeys(event) {
    const { key, target, ctrlKey, metaKey } = event;
    if (key !== "Enter" || target.matches("button, summary, a")) return;
    if (ctrlKey || metaKey) event.preventDefault() || element.current.requestSubmit();
    else if (target.matches("input")) event.preventDefault();
  }

  const submit = (event) => (event.preventDefault(), start());

  async function start(more) {
    const reason = await form.submit(more);
    if (!reason) return;
    if (reason === form.reason) focusProblem();
    say(reason);
  }
  return html`
    <form
      class="composer"
      id="make"
      novalidate
      aria-label="A new picture"
      ref=${element}
      onsubmit=${submit}
      onkeydown=${watchKeys}
    >
      <${EarlierDraft} />
      <${ImageFields} form=${form} />
      <${CarriedFields} form=${form} />
      ${form.presets && html`<${SavePreset} form=${form} />`}
      <${Repeat} request=${form.request} api=${services.api} />
      <${ApiSnippets} request=${form.request} />
      <${Till} form=${form} onshow=${focusProblem} onwrite=${() => start({ only_prompt: true })} />
    </form>
  `;
}

/** The draft that a picture's prompt or a run's request has replaced. */
function EarlierDraft() {
  const [draft, setDraft] = useState(earlierDraft);
  if (!draft) return null;
  function restore() {
    restoreEarlierDraft();
    goTo("#make");
  }
  function discard() {
    forgetEarlierDraft();
    setDraft(null);
    document.getElementById("idea").focus();
  }
  return html`
    <div class="callout">
      <strong>You were writing something else</strong>
      <p>${summaryOf(draft)}</p>
      <div class="row">
        <${Button} onclick=${restore} icon="back">Restore it<//>
        <${Button} onclick=${discard} class="quiet">Discard<//>
      </div>
    </div>
  `;
}

/** The price, the button that buys, and what went wrong with the last click. */
function Till({ form, onshow, onwrite }) {
  const button = useRef();
  function forget() {
    form.forgetClick();
    button.current.focus();
  }
  const { failure, unansweredClick, isBusy, values } = form;
  const hasFailed = failure && !unansweredClick && !fieldOf(failure);
  const isDisabled = isBusy || form.reason || unansweredClick;
  return html`
    <div class=${values.purpose === "vary" ? "till stacked" : "till"}>
      <div class="trouble">
        ${unansweredClick &&
        html`
          <${UnansweredClick}
            click=${unansweredClick}
            error=${failure}
            onretry=${() => form.send(unansweredClick)}
            onforget=${forget}
          />
        `}
        ${hasFailed && html`<${Failed} error=${failure} />`}
      </div>
      <div><${Price} form=${form} onshow=${onshow} /></div>
      <button
        type="submit"
        class="big"
        aria-describedby="price"
        aria-keyshortcuts="Control+Enter"
        aria-disabled=${isDisabled ? "true" : null}
        ref=${button}
      >
        <${ButtonWords} form=${form} />
      </button>
      <${WriteFirst} form=${form} isDisabled=${isDisabled} onwrite=${onwrite} />
    </div>
  `;
}

function ButtonWords({ form: { isBusy, isChecking, values, price } }) {
  const number = Number(values.count) || 1;
  const { idea, topic, purpose, reference_images } = values;
  const hasIdea = idea.trim() || topic || purpose || reference_images.length;
  const surprise = number > 1 ? `Surprise me with ${number}` : "Surprise me";
  const make =
    values.purpose === "vary"
      ? `Make ${many(number, "variation")}${amountOf(price)}`
      : `Make ${number > 1 ? many(number, "picture") : "the picture"}`;
  return html`
    <${Icon} name=${hasIdea ? "brush" : "dice"} />
    <span>${isChecking ? "Checking the price…" : isBusy ? "Sending…" : hasIdea ? make : surprise}</span>
  `;
}

/** The price as a part of the button's words. It is left out while it is not known. */
function amountOf({ estimate, error, isAsking }) {
  const usd = error || isAsking ? null : estimate.estimate_usd;
  return usd == null ? "" : ` for up to ${upTo(usd)}`;
}

function Price({ form: { price, reason, notice, isWaiting }, onshow }) {
  const { estimate, error, isAsking } = price;
  const { budget } = estimate;
  const used = budget.cap_usd ? Math.min(1, 1 - budget.left_usd / budget.cap_usd) : 1;
  const [amount, left] = priceOf(estimate);
  return html`
    <p id="price" role="status" class=${isAsking ? "old" : null}>
      ${!error && html`<strong>${amount}</strong> · ${left}`}
      ${reason && html`<span class=${isWaiting ? "reason waiting" : "reason"}>${reason}</span>`}
      ${!reason && notice && html`<span class="reason">${notice}</span>`}
    </p>
    ${fieldOf(error) && html`<${Button} onclick=${onshow} class="quiet">Show the field<//>`}
    <span class="meter" aria-hidden="true" style=${{ "--used": used }}></span>
  `;
}

/** A click without a response can be sent again, and is paid once. */
function UnansweredClick({ click: { body }, error, onretry, onforget }) {
  const words = body.prompt ?? body.description ?? body.topic;
  return html`
    <div class="callout" role="alert">
      <strong>${error ? error.title : "No answer to your last click"}</strong>
      ${words && html`<p>It was for “${shortened(words)}”.</p>`}
      <p>
        ${error && error.message} “Try again” sends the same click: you are never charged twice for
        it. If you discard it, check Runs: it may have started.
      </p>
      <div class="row">
        <${Button} onclick=${onretry} icon="again">Try again<//>
        <${Button} onclick=${onforget} class="quiet">Discard<//>
      </div>
    </div>
  `;
}

function Newest({ api, signal }) {
  const list = usePagedList(async (cursor, until) => {
    const { images } = await api.images({ limit: NEWEST }, until);
    return { items: images.slice(0, NEWEST), cursor: null };
  }, signal);
  return html`
    <section class="newest" aria-labelledby="newest">
      <div class="heading">
        <h2 id="newest">Newest pictures</h2>
        <a href="#gallery">All in the gallery</a>
      </div>
      ${list.isReading && html`<${Loading}>Loading your pictures…<//>`}
      ${list.error && html`<${Failed} error=${list.error} onretry=${() => list.readMore()} />`}
      ${list.hasRead &&
      html`
        <${ImageGrid}
          images=${list.items}
          api=${api}
          signal=${signal}
          onremove=${(image) => list.remove(image)}
          onputback=${(image) => list.putBack(image)}
        />
      `}
      ${list.isEmpty &&
      html`
        <${Empty}
          title="Your first picture will appear here"
          text="One click on Surprise me is enough."
        />
      `}
    </section>
  `;
}
