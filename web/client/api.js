/** Calls Easel's API with the token, in JSON. Its errors say what to do. */

import { catchUp } from "./recent_changes.js";

const WAITS = [1, 2, 4]; // seconds before each retry of a read
const LONGEST_WAIT = 30; // seconds, whatever Retry-After says

/** Why a call failed. `status` is 0 without a response; `code` is the error's name in the API. */
export class ApiError extends Error {
  constructor({ status, title, detail, error, field, allowed, nearest, what_to_do: whatToDo }) {
    super(detail);
    Object.assign(this, { status, title, code: error, field, allowed, nearest, whatToDo });
  }

  /** Whether the same call may succeed a little later. */
  get isTransient() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const OWN_WORDS = {
  401: ["Your session has expired", "Sign in again to continue."],
  403: [
    "Not allowed",
    "Your account does not have the right to do this. " +
      "Sign out, and sign in with an account that has it.",
  ],
  404: ["Not found", "It may have been deleted, or the address may be misspelled."],
  429: ["Too many requests", "Wait a moment and try again."],
  503: ["The API is busy", "Wait a moment and try again."],
};

/**
 * Returns the API's calls. `onSignedOut` is called when `session` has no token any more.
 *
 * `shares` is whether the deployment can make images public.
 */
export function makeApi(session, { onSignedOut, shares }) {
  const connection = new Connection(session, onSignedOut);
  const call = (...request) => connection.call(...request);
  const image = (id) => `images/${encodeURIComponent(id)}`;
  const run = (id) => `runs/${encodeURIComponent(id)}`;
  const schedule = (name) => `schedules/${encodeURIComponent(name)}`;
  const batch = (name) => `batches/${encodeURIComponent(name)}`;
  return {
    shares,
    estimate: (body, signal) => call("POST", "estimate", { body, signal, isRead: true }),
    startRun: (body, key) => call("POST", "runs", { body, headers: { "Idempotency-Key": key } }),
    run: (id, signal) => call("GET", run(id), { signal }),
    runs: (query, signal) => call("GET", `runs?${search(query)}`, { signal }),
    batches: (query, signal) => call("GET", `batches?${search(query)}`, { signal }),
    batch: (name, signal) => call("GET", batch(name), { signal }),
    batchLines: (name, query, signal) =>
      call("GET", `${batch(name)}/lines?${search(query)}`, { signal }),
    redrive: (id) => call("POST", `${run(id)}/redrive`),
    stop: (id) => call("POST", `${run(id)}/stop`),
    images: async (query, signal) =>
      catchUp(await call("GET", `images?${search(query)}`, { signal }), query),
    image: (id, signal) => call("GET", image(id), { signal }),
    deleteImage: (id) => call("DELETE", image(id)),
    shareImage: (id) => call("POST", `${image(id)}/share`),
    unshareImage: (id) => call("DELETE", `${image(id)}/share`),
    restoreImage: (id) => call("POST", `${image(id)}/restore`),
    startUpload: (body, signal) => call("POST", "uploads", { body, signal }),
    upload: (id, signal) => call("GET", `uploads/${encodeURIComponent(id)}`, { signal }),
    folders: (signal) => call("GET", "folders", { signal }),
    deleteFolder: (name) => call("DELETE", `folders?${search({ name, confirm: true })}`),
    schedules: (query, signal) => call("GET", `schedules?${search(query)}`, { signal }),
    putSchedule: (name, body) => call("PUT", schedule(name), { body }),
    deleteSchedule: (name) => call("DELETE", schedule(name)),
    restoreFolder: (name) => call("POST", "folders/restore", { body: { name } }),
  };
}

/** Sends requests with the session's token, and retries reads. */
class Connection {
  constructor(session, onSignedOut) {
    Object.assign(this, { session, onSignedOut });
  }

  async call(method, path, { isRead = method === "GET", signal, ...rest } = {}) {
    for (let retries = 0, isRenewed = false; ; ) {
      const response = await this.#send(method, path, { signal, ...rest });
      const { ok, status } = response;
      if (ok) return status === 204 ? null : response.json();
      if (status === 401 && !isRenewed && (await this.session.renew())) isRenewed = true;
      else if (isRead && (status === 429 || status === 503) && retries < WAITS.length) {
        const seconds = Number(response.headers.get("Retry-After")) || WAITS[retries];
        retries += 1;
        await sleep(Math.min(seconds, LONGEST_WAIT), signal);
      } else {
        if (status === 401) this.onSignedOut();
        throw new ApiError(await problemOf(response));
      }
    }
  }

  async #send(method, path, { body, headers = {}, signal }) {
    const token = await this.session.token();
    if (!token) {
      this.onSignedOut();
      throw new ApiError({ status: 401, title: OWN_WORDS[401][0], detail: OWN_WORDS[401][1] });
    }
    const hasBody = body !== undefined;
    try {
      return await fetch(path, {
        method,
        signal,
        headers: {
          Accept: "application/json",
          Authorization: `Bearer ${token}`,
          ...(hasBody && { "Content-Type": "application/json" }),
          ...headers,
        },
        body: hasBody ? JSON.stringify(body) : undefined,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw noAnswer();
    }
  }
}

/** Waits. If the signal is aborted first, it rejects as fetch does. */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Returns an error in one or two sentences: what failed, and what to do.
 *
 * The message of a refused request says what is wrong with it. Other messages are for support.
 */
export function explain({ status, title, message, whatToDo }) {
  if (!whatToDo) return message;
  return status >= 400 && status < 500 ? `${title}: ${message}.` : `${title}. ${whatToDo}`;
}

/** Returns the error of a call that got no response. */
export const noAnswer = () =>
  new ApiError({
    status: 0,
    title: "No answer",
    detail: "Easel cannot be reached.",
    what_to_do: "Check your connection and try again.",
  });

function search(query) {
  const isGiven = ([, value]) => value !== "" && value != null;
  return new URLSearchParams(Object.entries(query).filter(isGiven));
}

async function problemOf(response) {
  const { status } = response;
  const [title, detail] = OWN_WORDS[status] ?? ["The API failed", "Try again in a moment."];
  const problem = await response.json().catch(() => ({}));
  return { title, detail, ...(problem.detail ? problem : {}), status };
}
