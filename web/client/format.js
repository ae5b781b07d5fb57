/** Formats money, times and sizes the way people read them. */

const DOLLARS = { style: "currency", currency: "USD" };
const cents = new Intl.NumberFormat("en-US", DOLLARS);
const partsOfCents = new Intl.NumberFormat("en-US", { ...DOLLARS, maximumFractionDigits: 4 });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const decimal = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** Formats a sum that was paid. Images cost parts of a cent. */
export function money(usd) {
  if (usd == null) return "not known";
  return (usd < 1 ? partsOfCents : cents).format(usd);
}

/** Formats micro-dollars without rounding. */
export const exact = (micro) => `$${(micro / 1e6).toFixed(6)}`;

/** Formats an upper bound. It is rounded up, so the price is never higher. */
export const upTo = (usd) => cents.format(Math.ceil(usd * 100 - 1e-9) / 100);

/** Formats what a run has cost so far, next to its upper bound. Whole cents are enough. */
export const soFar = (usd) => cents.format(usd);

/** Formats what is left, rounded down for the same reason. */
export const left = (usd) => cents.format(Math.floor(usd * 100 + 1e-9) / 100);

export const when = (iso) => (iso ? moment.format(new Date(iso)) : "–");

export const day = (iso) => (iso ? date.format(new Date(iso)) : "–");

/** Returns the days until then. A part of a day counts as one. */
export const daysUntil = (iso) =>
  Math.max(0, Math.ceil((new Date(iso) - Date.now()) / 86_400_000));

export function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let power = 0;
  while (size >= 1000 && power < units.length - 1) [size, power] = [size / 1000, power + 1];
  return `${decimal.format(size)} ${units[power]}`;
}

/** Formats the time between two ISO times, or until now if the second is missing. */
export function span(from, to) {
  if (!from) return "";
  const seconds = Math.max(0, ((to ? new Date(to) : Date.now()) - new Date(from)) / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Formats a count with its noun. */
export const many = (count, one, more = `${one}s`) =>
  `${count.toLocaleString("en-US")} ${count === 1 ? one : more}`;

/** Returns an image's topic, or null for the API's own word for an image without one. */
export const topicOf = ({ topic }) => (topic === "own idea" ? null : topic);
