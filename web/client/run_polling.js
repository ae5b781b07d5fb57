/** Reads a run again and again until it has ended, or a list as long as it is shown. */

import { ApiError, sleep } from "./api.js";

// All viewers share the reads that Step Functions allows: ten runs a second in most regions.
const FIRST_SECONDS = 1;
const SLOWEST_SECONDS = 5;
const GROWTH = 1.25;
const SLOWEST_HIDDEN_SECONDS = 15;
const SLOWEST_AFTER_ERROR_SECONDS = 15;
const slower = (seconds) =>
  document.hidden
    ? Math.min(SLOWEST_HIDDEN_SECONDS, seconds * 2)
    : Math.min(SLOWEST_SECONDS, seconds * GROWTH);
const afterError = (seconds, { retryAfter = 0 }) =>
  Math.max(retryAfter, Math.min(SLOWEST_AFTER_ERROR_SECONDS, seconds * 2));
const LIST_SECONDS = 3; // between two reads of a list
const READS_PER_ROUND = 10; // reads until the list is read one round later
const BUSY_ROUNDS = 3; // as many times slower at most while something runs
const IDLE_ROUNDS = 5; // as many times slower if nothing runs, or after an error
/** Whether another read may succeed. Step Functions may not know a new run at first. */
const isTemporary = (error) => error.isTransient || error.status === 404;

let started = null; // the run that this page has just started

/** Notes a run that has just started, as the API has answered. */
export const noteStarted = (run) => (started = run);

/** Reads a run, unless it has just started: then the API may not know it yet. */
export async function readRun(api, id, signal) {
  const run = started?.id === id ? started : await api.run(id, signal);
  started = null;
  return run;
}

/**
 * Yields a run that was just read, each time it is read again.
 *
 * The intervals grow, and are short again once a hidden page is shown. While the page is hidden, it
 * reads only if `readsHidden()`, and less often.
 *
 * `ontrouble` is called with each transient error, and with null once a read succeeds.
 */
export async function* follow(api, id, signal, ontrouble, readsHidden = () => false) {
  for (let seconds = FIRST_SECONDS; ; ) {
    await sleep(seconds, signal);
    if (document.hidden && !readsHidden()) {
      await untilVisible(signal);
      seconds = FIRST_SECONDS;
    }
    try {
      const run = await api.run(id, signal);
      ontrouble(null);
      yield run;
      if (run.status !== "running") return;
      seconds = slower(seconds);
    } catch (error) {
      if (signal.aborted || !isTemporary(error)) throw error;
      ontrouble(error);
      seconds = afterError(seconds, error);
    }
  }
}

/**
 * Reads the first page of a list again until the signal is aborted, and not while the page is hidden.
 *
 * It reads more often while `isBusy()`, and less often the longer that lasts. `ontrouble` is called
 * as by follow.
 */
export async function keepFresh(list, { isBusy, signal, ontrouble }) {
  for (let rounds = 1, reads = 0, hasTrouble = false; ; rounds += 1) {
    await sleep(LIST_SECONDS, signal);
    if (document.hidden || !isBusy()) reads = 0;
    await untilVisible(signal);
    const busyRounds = Math.min(BUSY_ROUNDS, 1 + Math.floor(reads / READS_PER_ROUND));
    if (rounds < (hasTrouble || !isBusy() ? IDLE_ROUNDS : busyRounds)) continue;
    rounds = 0;
    reads += 1;
    try {
      await list.refresh();
      hasTrouble = false;
      ontrouble(null);
    } catch (error) {
      if (signal.aborted || !error.isTransient) throw error;
      hasTrouble = true;
      ontrouble(error);
    }
  }
}

/** Returns the run once it has succeeded, or throws its error. It also works in a hidden page. */
export async function ended(api, run) {
  for (let seconds = FIRST_SECONDS; run.status === "running"; ) {
    await sleep(seconds);
    try {
      run = await api.run(run.id);
      seconds = slower(seconds);
    } catch (error) {
      if (!isTemporary(error)) throw error;
      seconds = afterError(seconds, error);
    }
  }
  if (run.status === "succeeded") return run;
  if (!run.error) throw new Error("The run has ended without an error message.");
  throw new ApiError({ ...run.error, detail: run.error.message });
}

function untilVisible(signal) {
  return new Promise((resolve, reject) => {
    if (!document.hidden) return resolve();
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    const stop = () => {
      document.removeEventListener("visibilitychange", look);
      reject(signal.reason);
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", stop, { once: true });
  });
}
