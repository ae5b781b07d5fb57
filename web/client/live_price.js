/** The price of what the form holds, before it is bought. */

import { sleep } from "./api.js";
import { upTo } from "./format.js";

const PAUSE_SECONDS = 0.3; // after the last key

/** Asks the API for the price of each request; `onchange` is called on every change. */
export class LivePrice {
  error = null; // why the last request has no price
  isAsking = false;
  #asked; // the request whose price is shown or asked for, as JSON
  #question = null; // aborted when another request follows
  #settled = Promise.resolve();

  /** `estimate` is the API's response for `request`; without a request it is to be asked again. */
  constructor({ api, signal, estimate, request, onchange }) {
    Object.assign(this, { api, signal, estimate, onchange });
    this.#asked = request && JSON.stringify(request);
  }

  /** Asks for the price of the request, unless it is known or asked for. */
  update(request) {
    const asked = JSON.stringify(request);
    if (asked !== this.#asked) this.#settled = this.#ask(request, asked);
    return this.#settled;
  }

  /** Waits until the price of the request that `read()` returns is known, and returns it. */
  async settle(read) {
    let request;
    do {
      request = read();
      await this.update(request);
      // What is edited meanwhile is priced, too.
    } while (JSON.stringify(request) !== JSON.stringify(read()));
    return this.estimate;
  }

  async #ask(request, asked) {
    this.#asked = asked;
    this.#question?.abort();
    this.#question = new AbortController();
    const either = AbortSignal.any([this.signal, this.#question.signal]);
    this.isAsking = true;
    this.onchange();
    try {
      await sleep(PAUSE_SECONDS, either);
      const estimate = await this.api.estimate(request, either);
      Object.assign(this, { estimate, error: null, isAsking: false });
    } catch (error) {
      if (either.aborted) return;
      this.#asked = undefined;
      Object.assign(this, { error, isAsking: false });
    }
    this.onchange();
  }
}

/** Returns whether someone who clicked on the old estimate may not accept the new one. */
export function isDearer({ estimate_usd: now }, { estimate_usd: before }) {
  if (now === before) return false;
  return now == null || before == null || (now > before && upTo(now) !== upTo(before));
}
