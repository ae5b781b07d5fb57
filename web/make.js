/** The view Make: the form, its price before the click, the click, and the newest pictures. */

import { sleep } from "./api.js";
import { button, el, fill, icon, set } from "./dom.js";
import { keepDraft, readDraft } from "./draft.js";
import { showProblem } from "./fields.js";
import { left, many, upTo } from "./format.js";
import { makeForm } from "./make_form.js";
import { say } from "./notices.js";
import { forgetPurchase, isFresh, newPurchase, openPurchase, send } from "./purchase.js";
import { requestOf, valuesOf } from "./request.js";
import { empty, failed, loading } from "./states.js";
import { makeGrid } from "./tiles.js";

const PAUSE_SECONDS = 0.3; // after the last key, before the price is asked for

/** Shows the view. */
export async function show(main, { api, signal }) {
  const [offer, { folders }] = await Promise.all([api.estimate({}, signal), api.folders(signal).catch(() => ({ folders: [] }))]);
  const form = makeForm(offer, readDraft(), folders, () => (priced = changed()));
  const price = el("p", { id: "price", role: "status" });
  const meter = el("span", { class: "meter", "aria-hidden": "true" });
  const make = el("button", { type: "submit", class: "big", "aria-describedby": "price" });
  const trouble = el("div", { class: "trouble" });
  form.append(el("div", { class: "till" }, trouble, el("div", {}, price, meter), make));
  const newest = el("section", { class: "newest", "aria-labelledby": "newest" });
  fill(main, el("h1", { tabindex: -1 }, "Make a picture"), el("div", { class: "studio" }, form, newest));

  let asked = null; // the question about the price that is under way
  let priced = Promise.resolve(); // ends when the price of what stands in the form is shown
  let last = JSON.stringify(valuesOf(form)); // what the form said when it was last asked about
  let shown; // the price on the screen
  let busy = false;
  let reason = null; // why the button does not buy now

  async function changed() {
    const values = valuesOf(form);
    if (JSON.stringify(values) === last) return priced;
    last = JSON.stringify(values);
    keepDraft(values);
    drawButton();
    set(price, "class", "old");
    asked?.abort();
    const question = (asked = new AbortController());
    const both = AbortSignal.any([signal, question.signal]);
    try {
      await sleep(PAUSE_SECONDS, both);
      drawPrice(await api.estimate(requestOf(values), both));
    } catch (error) {
      if (both.aborted) return;
      last = null;
      const there = showProblem(form, error);
      reason = there ? "Put right what is marked above; then the price shows." : error.message;
      fill(price, there ? reason : `${error.message} ${error.whatToDo ?? ""}`);
      set(price, "class", "wrong");
      drawButton();
    }
  }

  function drawPrice({ estimate_usd: usd, fits, budget }) {
    showProblem(form, null);
    shown = usd;
    reason = fits
      ? null
      : "Over this month's budget: make fewer, smaller or in lower quality.";
    const remaining = `${left(budget.left_usd)} left this month`;
    fill(
      price,
      el("strong", {}, usd == null ? "Price not known" : `Up to ${upTo(usd)}`),
      ` · ${remaining}`,
      reason && el("span", { class: "reason" }, reason),
    );
    set(price, "class", fits ? null : "wrong");
    meter.style.setProperty("--used", budget.cap_usd ? Math.min(1, 1 - budget.left_usd / budget.cap_usd) : 1);
    drawButton();
  }

  function drawButton() {
    const { idea, topic, count } = valuesOf(form);
    const number = Number(count) || 1;
    const words = busy
      ? "Sending…"
      : idea.trim() || topic
        ? `Make ${number > 1 ? many(number, "picture") : "the picture"}`
        : number > 1
          ? `Surprise me with ${number}`
          : "Surprise me";
    // The form changes when it loses the focus to this button: with its words replaced just then, the click would get lost.
    if (make.textContent !== words) fill(make, icon(idea.trim() || topic ? "brush" : "dice"), el("span", {}, words));
    set(make, "aria-disabled", busy || reason || openPurchase() ? "true" : null);
  }

  async function buy(purchase) {
    busy = true;
    fill(trouble);
    drawButton();
    try {
      const run = await send(api, purchase);
      location.hash = `#run/${encodeURIComponent(run.id)}`;
    } catch (error) {
      busy = false;
      if (signal.aborted || error.name === "AbortError") return;
      if (openPurchase()) drawOpen(error);
      else if (!showProblem(form, error)) fill(trouble, failed(error));
      form.querySelector("[aria-invalid]")?.focus();
      drawButton();
    }
  }

  /** A click without an answer: the same click can be sent again, and is paid once. */
  function drawOpen(error) {
    const forget = () => (forgetPurchase(), fill(trouble), drawButton(), make.focus());
    fill(
      trouble,
      el(
        "div",
        { class: "callout", role: "alert" },
        el("strong", {}, error ? error.title : "Your last click got no answer"),
        el("p", {}, error ? error.message : null, " Try again sends the same click: if it did arrive, nothing is paid twice. Forgotten, it may have been paid all the same: Runs shows it then."),
        el(
          "div",
          { class: "row" },
          button("Try again", () => buy(openPurchase()), { icon: "again" }),
          button("Forget this click", forget, { class: "quiet" }),
        ),
      ),
    );
    drawButton();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || openPurchase()) return;
    const before = shown;
    busy = true; // until the price of what was just typed is known
    drawButton();
    if (last === null) priced = changed(); // it could not be had before
    for (let seen; seen !== priced; ) await (seen = priced); // what is edited meanwhile is priced, too
    busy = false;
    drawButton();
    if (signal.aborted) return;
    if (reason) {
      form.querySelector("[aria-invalid]")?.focus();
      return say(reason);
    }
    if (dearer(shown, before)) return say(`It costs more than what stood here. ${price.textContent}. Click again if that is right.`);
    buy(newPurchase(requestOf(valuesOf(form))));
  });

  drawPrice(offer);
  if (Object.keys(readDraft()).length) {
    last = null;
    priced = changed();
  }
  const open = openPurchase();
  if (open && isFresh(open)) buy(open);
  else if (open) drawOpen();
  showNewest(newest, { api, signal });
}

/** Whether somebody who clicked on the old price may not want the new one. */
const dearer = (now, before) => now !== before && (now == null || before == null || (now > before && upTo(now) !== upTo(before)));

async function showNewest(section, { api, signal }) {
  const heading = el(
    "div",
    { class: "heading" },
    el("h2", { id: "newest" }, "Newest pictures"),
    el("a", { href: "#gallery" }, "All in the gallery"),
  );
  fill(section, heading, loading("Getting your pictures…"));
  try {
    const { images } = await api.images({ limit: 12 }, signal);
    const grid = makeGrid({ api, signal });
    grid.add(images);
    fill(
      section,
      heading,
      images.length ? grid.element : empty("Your first picture will hang here", "One click on Surprise me is enough."),
    );
  } catch (error) {
    if (!signal.aborted)
      fill(
        section,
        heading,
        failed(error, () => showNewest(section, { api, signal })),
      );
  }
}
