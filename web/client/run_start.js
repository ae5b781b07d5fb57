/**
 * Starts a run so that one click is paid once.
 *
 * The idempotency key and the request of a click are kept until the API has answered, over failures
 * and reloads.
 */

const PLACE = "easel.purchase";
// After these nothing was started. After any other response the outcome is unknown.
const REFUSALS = [400, 403, 409, 413, 415];
const FRESH_MS = 2 * 60_000;

/** Returns the click that has no response yet, or null. */
export const openClick = () => JSON.parse(sessionStorage.getItem(PLACE) ?? "null");

/**
 * Returns whether a reload may send the click again.
 *
 * Later, or once someone has seen that it failed, they should decide: they may have changed their
 * mind.
 */
export const mayResend = (click) => !click.hasFailed && Date.now() - click.at < FRESH_MS;

/** Notes that the page has shown that the click failed. */
export function noteShownFailure(click) {
  if (openClick()?.key === click.key) keepClick({ ...click, hasFailed: true });
}

/** Forgets the click. If it started a run, that run continues. */
export const forgetClick = () => sessionStorage.removeItem(PLACE);

/** Returns a click with a new idempotency key, and keeps it. */
export function newClick(body) {
  const click = { key: crypto.randomUUID(), body, at: Date.now() };
  keepClick(click);
  return click;
}

const keepClick = (click) => sessionStorage.setItem(PLACE, JSON.stringify(click));

/** Sends a click and returns its run. The click is kept while its outcome is unknown. */
export async function send(api, { key, body }) {
  try {
    const run = await api.startRun(body, key);
    forgetClick();
    return run;
  } catch (error) {
    if (REFUSALS.includes(error.status)) forgetClick();
    throw error;
  }
}
