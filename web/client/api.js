/** Calls Easel's API with the token, in JSON. Its errors say what to do. */

import { catchUp, withChanges } from "./recent_changes.js";

const WAITS = [1, 2, 4]; // seconds before each retry of a read
const LONGEST_WAIT = 30; // seconds, whatever Retry-After says

/**
 * Why a call failed. `status` is 0 without a response; `code` is the error's name in the API.
 *
 * `retryAfter` is the seconds that the API asks to wait, or 0.
 */
export class ApiError extends Error {
  constructor({ detail, error: code, what_to_do: whatToDo, retryAfter = 0, ...rest }) {
    super(detail);
    const { status, title, field, allowed, nearest } = rest;
    Object.assign(this, { status, title, code, field, allowed, nearest, whatToDo, retryAfter });
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
  const preset = (name) => `presets/${encodeURIComponent(name)}`;
  const batch = (name) => `batches/${encodeURIComponent(name)}`;
  return {
    shares,
    estimate: (body, signal) => call("POST", "estimate", { body, signal, isRead: true }),
    startRun: (body, key) => call("POST", "runs", { body, headers: { "Idempotency-Key": key } }),
    run: (id, signal) => call("GET", run(id), { signal }),
    runs: (query, signal) => call("GET", `runs?${search(query)}`, { signal }),
    batches: (query, signal) => call("GET", `batches?${search(query)}`, { signal }),
    batch: (name, query, signal) => call("GET", `${batch(name)}?${search(query)}`, { signal }),
    batchLines: (name, query, signal) =>
      call("GET", `${batch(name)}/lines?${search(query)}`, { signal }),
    batchFailures: (name, query, signal) =>
      call("GET", `${batch(name)}/failures?${search(query)}`, { signal }),
    newBatch: (body, signal) => call("POST", "batches", { body, signal }),
    startBatch: (name, body, signal) => call("POST", `${batch(name)}/start`, { body, signal }),
    stopBatch: (name) => call("POST", `${batch(name)}/stop`),
    resumeBatch: (name) => call("POST", `${batch(name)}/resume`),
    redrive: (id) => call("POST", `${run(id)}/redrive`),
    redriveMany: (ids) => call("POST", "runs/redrive", { body: { ids } }),
    me: (signal) => call("GET", "me", { signal }),
    people: (signal) => call("GET", "people", { signal }),
    spending: (query, signal) => call("GET", `spending?${search(query)}`, { signal }),
    spendingFile: (query) =>
      call("GET", `spending?${search({ ...query, format: "csv" })}`, { isFile: true }),
    budgets: (signal) => call("GET", "budgets", { signal }),
    putBudget: (body) => call("PUT", "budgets", { body }),
    paint: (id, body) => call("POST", `${run(id)}/paint`, { body }),
    presets: (signal) => call("GET", "presets", { signal }),
    putPreset: (name, body) => call("PUT", preset(name), { body }),
    deletePreset: (name) => call("DELETE", preset(name)),
    stop: (id) => call("POST", `${run(id)}/stop`),
    images: async (query, signal) =>
      catchUp(await call("GET", `images?${search(query)}`, { signal }), query),
    image: async (id, signal) => withChanges(await call("GET", image(id), { signal })),
    changeImage: (id, body) => call("PATCH", image(id), { body }),
    changeImages: (body) => call("POST", "images/changes", { body }),
    actOnImages: (body) => call("POST", "images/actions", { body }),
    moveImage: (id, folder) => call("POST", `${image(id)}/move`, { body: { folder } }),
    deleteImage: (id) => call("DELETE", image(id)),
    shareImage: (id) => call("POST", `${image(id)}/share`),
    unshareImage: (id) => call("DELETE", `${image(id)}/share`),
    restoreImage: (id) => call("POST", `${image(id)}/restore`),
    startUpload: (body, signal) => call("POST", "uploads", { body, signal }),
    upload: (id, signal) => call("GET", `uploads/${encodeURIComponent(id)}`, { signal }),
    folders: (query, signal) => call("GET", `folders?${search(query)}`, { signal }),
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

  /** Returns the JSON of the response, or with `isFile` its body as a Blob. */
  async call(method, path, { isRead = method === "GET", isFile, signal, ...rest } = {}) {
    for (let retries = 0, isRenewed = false; ; ) {
      const response = await this.#send(method, path, { signal, ...rest });
      const { ok, status } = response;
      if (ok && isFile) return response.blob();
      if (ok) return status === 204 ? null : response.json();
      if (status === 401 && !isRenewed && (await this.session.renew())) isRenewed = true;
      else if (isRead && (status === 429 || status === 503) && retries < WAITS.length) {
        const seconds = retryAfterOf(response) || WAITS[retries];
        retries += 1;
        await sleep(seconds, signal);
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
  const retryAfter = retryAfterOf(response);
  return { title, detail, ...(problem.detail ? problem : {}), status, retryAfter };
}

/** Returns the seconds that a response asks to wait, or 0. */
const retryAfterOf = ({ headers }) =>
  Math.min(Number(headers.get("Retry-After")) || 0, LONGEST_WAIT);
