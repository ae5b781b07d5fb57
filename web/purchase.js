/** Starts a run so that one click is paid once: its key and body are kept until the answer came, over failures and reloads. */

const PLACE = "easel.purchase";
const REFUSALS = [400, 403, 409, 413, 415]; // nothing was started; of any other answer one can't be sure
const FRESH_MS = 2 * 60_000;

/** The click that has no answer yet, or null. */
export const openPurchase = () => JSON.parse(sessionStorage.getItem(PLACE) ?? "null");

/** Whether a reload may send it again by itself. Later, a person should decide. */
export const isFresh = (purchase) => Date.now() - purchase.at < FRESH_MS;

/** Forgets the click. What it may have started goes on. */
export const forgetPurchase = () => sessionStorage.removeItem(PLACE);

/** Gives a click its key. */
export function newPurchase(body) {
  const purchase = { key: crypto.randomUUID(), body, at: Date.now() };
  sessionStorage.setItem(PLACE, JSON.stringify(purchase));
  return purchase;
}

/** Sends a click and gives its run. While the outcome is unknown it stays kept; a refusal ends it. */
export async function send(api, { key, body }) {
  try {
    const run = await api.startRun(body, key);
    forgetPurchase();
    return run;
  } catch (error) {
    if (REFUSALS.includes(error.status)) forgetPurchase();
    throw error;
  }
}
