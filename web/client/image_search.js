/** Which filters of the gallery need the search, and whether a changed image still fits them. */

const SEARCHES = [
  "q", "tag", "from", "to", "person", "model", "favourite", "shared", "batch", "hidden",
];

/** Returns whether the filters need the search. Its index takes about a second to follow changes. */
export const isSearch = (filters) => SEARCHES.some((name) => filters[name]);

/** Returns whether an image still fits the filters that a change of it may concern. */
export function fits(image, { folder, favourite, hidden, shared, tag }) {
  if (folder && image.folder !== folder) return false;
  if (image.hidden ? hidden !== "yes" && hidden !== "all" : hidden === "yes") return false;
  if (favourite && image.favourite !== (favourite === "true")) return false;
  if (shared && Boolean(image.share) !== (shared === "true")) return false;
  return !tag || !image.tags || image.tags.some((other) => fold(other) === fold(tag));
}

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
