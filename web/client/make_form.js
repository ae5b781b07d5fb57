/** The state of the form that makes images: its values, their price, and the click that buys. */

import { explain } from "./api.js";
import { keepDraft, markDraftSent, readDraft } from "./drafts.js";
import {
  baseValues,
  fieldOf,
  isNamedSize,
  problemOf,
  rebase,
  requestOf,
  startValues,
  withPossibleChoices,
  withoutOldMask,
} from "./form_values.js";
import { left, upTo } from "./format.js";
import { LivePrice, isDearer } from "./live_price.js";
import { ReferenceImages } from "./reference_images.js";
import { forgetClick, mayResend, newClick, noteShownFailure, openClick, send } from "./run_start.js";

const OVER_BUDGET =
  "This is more than what is left of this month's budget. " +
  "Make fewer or smaller pictures, or choose a lower quality.";
const OVER_ANOTHER_BUDGET =
  "This is more than what is left of your budget or of the folder's. " +
  "Spending shows both. An administrator can raise them.";
const SPENDING_STOPPED =
  "Spending is stopped. Ask the person who runs this Easel.";
const NOTHING_TO_CHANGE = "Write what should change.";

/**
 * `onchange` is called on every change, `onstart(run)` when a run has started.
 *
 * `say` and `note` are those of ReferenceImages.
 */
export class MakeForm {
  isBusy = false;
  isChecking = false; // whether a click waits for the price
  notice = null; // why the last click has to be repeated
  failure = null; // why the last click started no run, or got no response

  /**
   * `limits` are the request's limits of config.json; `offer` is the estimate of `{}`.
   *
   * `presets` are the API's, or null if it has none.
   */
  constructor({ api, signal, limits, offer, presets, onchange, onstart, say, note }) {
    Object.assign(this, { api, signal, limits, presets, onchange, onstart });
    this.stack = offer.request;
    this.models = offer.models;
    const draft = readDraft();
    this.base = this.#baseOf(draft.preset);
    this.values = startValues({ draft, base: this.base, limits, models: this.models });
    this.#noteSize();
    const hasDraft = Object.keys(draft).length > 0;
    const request = hasDraft ? undefined : this.request;
    this.price = new LivePrice({ api, signal, estimate: offer, request, onchange });
    if (hasDraft) this.price.update(this.request);
    this.references = new ReferenceImages({ api, form: this, say, note });
  }

  get request() {
    return requestOf(this.values, this.base);
  }

  /** The whole request, which needs no preset. */
  get ownRequest() {
    return requestOf({ ...this.values, preset: "" });
  }

  /** What a request without any field would have, as `ownRequest`. */
  get defaultRequest() {
    return requestOf(this.#baseOf(""));
  }

  /** The chosen preset, or undefined. */
  get preset() {
    return this.presets?.find(({ name }) => name === this.values.preset);
  }

  /** The API error to show at its field. */
  get error() {
    return (!openClick() && this.failure) || this.price.error;
  }

  /** Why nothing can be bought now, or null. */
  get reason() {
    const { error, estimate } = this.price;
    if (this.references.reason) return this.references.reason;
    if (this.isEditWithoutWords) return NOTHING_TO_CHANGE;
    if (error) return fieldOf(error) ? problemOf(error, this.values) : explain(error);
    if (estimate.fits) return null;
    const { cap_usd: cap, left_usd: rest } = estimate.budget;
    if (cap > 0 && estimate.estimate_usd <= rest) return OVER_ANOTHER_BUDGET;
    return cap > 0 ? OVER_BUDGET : SPENDING_STOPPED;
  }

  get isEditWithoutWords() {
    return this.values.purpose === "edit" && !this.values.idea.trim();
  }

  /** Whether nothing is wrong: an upload ends by itself, or an edit was not described yet. */
  get isWaiting() {
    return this.references.reason ? this.references.isWaiting : this.isEditWithoutWords;
  }

  /** The click that has no response, unless it is being sent. */
  get unansweredClick() {
    return this.isBusy ? null : openClick();
  }

  change(values) {
    const changed = withoutOldMask({ ...this.values, ...values });
    this.values = withPossibleChoices(changed, this.limits, this.models);
    keepDraft(this.values);
    if (fieldOf(this.failure)) this.failure = null;
    this.notice = null;
    this.price.update(this.request);
    this.onchange();
  }

  /** Takes the fields of a preset, or with "" of none. What somebody changed stays. */
  choosePreset(name) {
    const before = this.base;
    this.base = this.#baseOf(name);
    this.change(rebase(this.values, before, { ...this.base, preset: name }));
    this.#noteSize();
    this.onchange();
  }

  /** Replaces the list of presets, and chooses one of them or none. */
  setPresets(presets, name) {
    this.presets = presets;
    this.choosePreset(name);
  }

  #baseOf(name) {
    const preset = this.presets?.find((each) => each.name === name);
    return baseValues({ limits: this.limits, stack: this.stack, models: this.models, preset });
  }

  #noteSize() {
    this.isSizeTyped = !isNamedSize(this.values.size);
    this.typedSize = this.isSizeTyped ? this.values.size : "";
  }

  typeSize(size) {
    this.isSizeTyped = true;
    this.typedSize = size;
    this.change({ size });
  }

  /** Takes a size that has a name, or with null the one that is typed. */
  chooseSize(size) {
    this.isSizeTyped = size === null;
    this.change({ size: size ?? this.typedSize });
  }

  /**
   * Buys what the form holds, or returns why it cannot.
   *
   * `more` are fields of this click only, such as `only_prompt`.
   */
  async submit(more) {
    if (this.isBusy || openClick()) return null;
    const before = this.price.estimate;
    this.#set({ isBusy: true, isChecking: true, notice: null });
    const estimate = await this.price.settle(() => this.request); // of what was just typed
    this.#set({ isBusy: false, isChecking: false });
    if (this.signal.aborted) return null;
    if (this.reason) return this.reason;
    if (isDearer(estimate, before)) {
      const usd = estimate.estimate_usd;
      const change = usd == null ? "is not known any more" : `went up to ${upTo(usd)}`;
      this.#set({ notice: `The price ${change}. Click again to confirm.` });
      return null;
    }
    return this.send(newClick({ ...this.request, ...more }));
  }

  /** Sends a click. One that already reached the API is not paid again. */
  async send(click) {
    this.#set({ isBusy: true, failure: null });
    try {
      const run = await send(this.api, click);
      markDraftSent();
      this.onstart(run);
    } catch (error) {
      const isLeft = this.signal.aborted || error.name === "AbortError";
      if (!isLeft) noteShownFailure(click);
      this.#set({ isBusy: false, failure: isLeft ? null : error });
    }
    return null;
  }

  /** Sends a click again that a reload interrupted. */
  resume() {
    const click = openClick();
    if (click && mayResend(click)) this.send(click);
  }

  forgetClick() {
    forgetClick();
    this.#set({ failure: null });
  }

  #set(state) {
    Object.assign(this, state);
    this.onchange();
  }
}

/** Returns an estimate as text, and what is left of the budget. */
export function priceOf({ estimate_usd: usd, budget }) {
  const price = usd == null ? "Price not known" : `Up to ${upTo(usd)}`;
  return [price, `${left(budget.left_usd)} left this month`];
}
