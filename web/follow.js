/** Follows a run until it has ended. */

import { sleep } from "./api.js";

const SLOWEST_SECONDS = 3;

/** Yields the run each time that it was read, ever slower, and not while nobody looks. `ontrouble` hears of passing failures. */
export async function* follow(api, id, signal, ontrouble = () => {}) {
  for (let wait = 1; ; wait = Math.min(SLOWEST_SECONDS, wait * 1.08)) {
    try {
      const run = await api.run(id, signal);
      ontrouble(null);
      yield run;
      if (run.status !== "running") return;
    } catch (error) {
      if (signal?.aborted || !error.passes) throw error;
      ontrouble(error);
    }
    await sleep(wait, signal);
    await visible(signal);
  }
}

/** The run, once it has ended; throws what it says where it failed. Goes on while the page is hidden too. */
export async function ended(api, run) {
  for (let wait = 1; run.status === "running"; wait = Math.min(SLOWEST_SECONDS, wait * 1.08)) {
    await sleep(wait);
    run = await api.run(run.id).catch((error) => (error.passes ? run : Promise.reject(error)));
  }
  if (run.status === "succeeded") return run;
  throw new Error(run.error ? `${run.error.message} ${run.error.what_to_do ?? ""}` : `The run ${run.status.replace("_", " ")}.`);
}

function visible(signal) {
  return new Promise((resolve, reject) => {
    if (!document.hidden) return resolve();
    const look = () => document.hidden || (document.removeEventListener("visibilitychange", look), resolve());
    document.addEventListener("visibilitychange", look);
    signal?.addEventListener("abort", () => (document.removeEventListener("visibilitychange", look), reject(signal.reason)), {
      once: true,
    });
  });
}
