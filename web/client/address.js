/**
 * The page's address: a view with its filters, and the image that is open over it.
 *
 * An opened image is an entry of the browser's history, so Back closes it. An entry that was shown
 * before keeps what it showed, so Back finds the place again.
 */

const IMAGE = "image";
const kept = new Map(); // what was kept, by history entry
let entry; // the history entry of the place that is shown
let shown; // the place that is shown
let isForced = false;

/** Returns the parts of an address: the path, the query without the image, and the image's id. */
export function parse(hash = location.hash) {
  const [path, text] = hash.slice(1).split("?");
  const query = new URLSearchParams(text);
  const image = query.get(IMAGE);
  query.delete(IMAGE);
  return { path, query, image, place: placeOf(path, query) };
}

const placeOf = (path, query) => `#${path}${query.size ? `?${query}` : ""}`;

/** Returns the id of the image that the address opens, or null. */
export const openImage = () => parse().image;

/** Returns an address that opens an image over the gallery, for a link that can be shared. */
export function linkTo(id) {
  const link = new URL(location.href);
  link.hash = `gallery?${new URLSearchParams({ [IMAGE]: id })}`;
  return link.href;
}

/** Goes to an address, and draws its view again even if it is shown already. */
export function goTo(hash) {
  isForced = true;
  if (location.hash === hash) dispatchEvent(new Event("hashchange"));
  else location.hash = hash;
}

/** Returns whether the address changed only in the image that is open. */
export function isSamePlace() {
  const isSame = !isForced && shown === parse().place;
  isForced = false;
  return isSame;
}

/** Takes the address as the place that is shown. Returns whether it was shown before. */
export function arrive() {
  ({ place: shown } = parse());
  const isKnown = kept.has(history.state?.entry);
  if (!history.state?.entry) mark({ ...history.state, entry: crypto.randomUUID() }, location.hash);
  entry = history.state.entry;
  return isKnown;
}

/** Keeps something of the place that is shown, until the page is left. */
export const keep = (name, value) => kept.set(entry, { ...kept.get(entry), [name]: value });

/** Returns what was kept of the place that is shown, or undefined. */
export const recall = (name) => kept.get(entry)?.[name];

/**
 * Adds an entry for the same view with other filters, which the view has already drawn.
 *
 * With `replaces`, it takes the place of the current entry: Back does not undo each pause of typing.
 */
export function showFilters(path, filters, { replaces = false } = {}) {
  const query = new URLSearchParams(filters);
  shown = placeOf(path, query);
  if (replaces) return mark(history.state, shown);
  entry = crypto.randomUUID();
  history.pushState({ entry }, "", shown);
}

/** Adds an entry for an opened image, or replaces it if another image was open. */
export function showImage(id) {
  const { path, query, image } = parse();
  if (image === id) return;
  query.set(IMAGE, id);
  const hash = placeOf(path, query);
  if (image) mark(history.state, hash);
  else history.pushState({ entry, isOver: true }, "", hash);
}

/** Takes the image out of the address. */
export function hideImage() {
  const { image, place } = parse();
  if (!image) return;
  if (history.state?.isOver) history.back();
  else mark(history.state, place);
}

const mark = (state, hash) => history.replaceState(state, "", hash || location.pathname);
