/**
 * What this page has just changed, added to the API's lists, which show it a little later.
 *
 * The lists come from indexes that lag behind the records, usually by less than a second.
 */

import { fits, isSearch } from "./image_search.js";

const KEPT_MS = 30_000;

let images = []; // { image, until }, with the image's new status
let changes = []; // { id, fields, until }, with what was changed about a stored image
let folders = []; // { name, status, time, until }; `time` is when the change began

/** Notes an image that was made, deleted or restored. `image.status` is its new status. */
export function noteImage(image) {
  forgetImage(image);
  images.push({ image, until: Date.now() + KEPT_MS });
}

/** Forgets what was noted about an image, such as a delete that failed. */
export function forgetImage({ id }) {
  images = current(images).filter(({ image }) => image.id !== id);
}

/** Notes changed fields of a stored image, such as its folder. */
export function noteChange(id, { links: _links, ...fields }) {
  const earlier = changedFieldsOf(id);
  changes = current(changes).filter((change) => change.id !== id);
  changes.push({ id, fields: { ...earlier, ...fields }, until: Date.now() + KEPT_MS });
}

/** Notes a folder whose images are now deleted, or stored again. `run` made the change. */
export function noteFolder(name, status, run) {
  images = current(images).filter(({ image }) => !isInside(image, name));
  folders = current(folders);
  folders.push({ name, status, time: Date.parse(run.started), until: Date.now() + KEPT_MS });
}

/** Notes the images of a run that has just stored them. */
export function noteRun(run) {
  if (run.ended && Date.now() - Date.parse(run.ended) > KEPT_MS) return;
  const { title, topic, prompt, url: run_url } = run;
  for (const picture of run.pictures) {
    if (picture.status !== "stored" || statusOf(picture.id)) continue;
    const folder = picture.key.slice(0, picture.key.lastIndexOf("/"));
    const stored_at = run.ended ?? new Date().toISOString();
    noteImage({ ...picture, title, topic, prompt, run_url, folder, stored_at });
  }
}

/** Returns a page of the API's list as it will be once the index has caught up. */
export function catchUp(page, { status = "stored", cursor, ...filters }) {
  const { topic, folder } = filters;
  const changed = page.images.map(withChanges);
  const listed = changed.filter((image) => !hasLeft(image, status) && isWanted(image));
  // Whether an image has the words of a search is known to the API only.
  if (cursor || isSearch(filters)) return { ...page, images: listed };
  const known = new Set(page.images.map(({ id }) => id));
  const missing = current(images)
    .map(({ image }) => withChanges(image))
    .filter((image) => image.status === status && !known.has(image.id))
    .filter((image) => !folder || image.folder === folder)
    .filter((image) => !topic || image.topic === topic)
    .filter(isWanted);
  const all = [...listed, ...missing].sort((a, b) => timeOf(b) - timeOf(a));
  // An image that belongs after the page's last one is on a later page.
  while (page.cursor && missing.includes(all.at(-1))) all.pop();
  return { ...page, images: all };

  function isWanted(image) {
    return status === "deleted" || !changedFieldsOf(image.id) || fits(image, filters);
  }
}

const changedFieldsOf = (id) => current(changes).find((change) => change.id === id)?.fields;

/** Returns an image as it is now. The links of an image that has moved since are unknown. */
export function withChanges(image) {
  const fields = changedFieldsOf(image.id);
  if (!fields) return image;
  const hasMoved = fields.folder && fields.folder !== image.folder;
  return { ...image, ...fields, ...(hasMoved && { links: null }) };
}

const current = (notes) => notes.filter(({ until }) => until > Date.now());

const statusOf = (id) => current(images).find(({ image }) => image.id === id)?.image.status;

const isInside = ({ folder }, name) => `${folder}/`.startsWith(`${name}/`);

/** Whether a listed image no longer has the list's status. */
function hasLeft(image, status) {
  const noted = statusOf(image.id);
  if (noted) return noted !== status;
  const change = current(folders).findLast(({ name }) => isInside(image, name));
  return Boolean(change) && change.status !== status && timeOf(image) < change.time;
}

/** The time by which a list is sorted. */
const timeOf = ({ status, stored_at, deleted_at }) =>
  Date.parse(status === "deleted" ? deleted_at : stored_at);
