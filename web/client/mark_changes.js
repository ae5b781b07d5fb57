/** Marks images as favourites, rejects them and tags them. The page shows each change at once. */

import { announceMarks } from "./marks.js";

export const MOST = 1000; // images of one call
const queues = new Map(); // the last call about each image, by id

/**
 * Changes what is noted about an image: `{ favourite, hidden, add_tags, remove_tags }`.
 *
 * If the API refuses it, the page shows the earlier state again, and this throws the error. Changes
 * of one image are sent one after the other, so the last click wins.
 */
export async function changeImage(api, image, change) {
  const { id } = image;
  const before = marksOf(image);
  announceMarks(new Map([[id, after(image, change)]]));
  const earlier = queues.get(id) ?? Promise.resolve();
  const call = earlier.catch(() => {}).then(() => api.changeImage(id, change));
  queues.set(id, call);
  try {
    const { own_tags } = await call;
    if (queues.get(id) === call && tagsOf(change).length)
      announceMarks(new Map([[id, withOwnTags(before, own_tags)]]));
  } catch (error) {
    if (queues.get(id) === call) announceMarks(new Map([[id, before]]));
    throw error;
  }
}

/** Changes many images, and returns those that were not changed, each with its image. */
export async function changeImages(api, images, change) {
  checkCount(images);
  const { failed } = await api.changeImages({ ids: images.map(({ id }) => id), ...change });
  const reasons = new Map(failed.map(({ id, detail }) => [id, detail]));
  const changed = images.filter(({ id }) => !reasons.has(id));
  const fields = new Map(changed.map((image) => [image.id, after(image, change)]));
  announceMarks(fields);
  for (const image of changed) Object.assign(image, fields.get(image.id));
  return images
    .filter(({ id }) => reasons.has(id))
    .map((image) => ({ image, reason: reasons.get(image.id) }));
}

/** Throws an error if these are more images than one call takes. */
export function checkCount({ length }) {
  if (length <= MOST) return;
  const many = (count) => count.toLocaleString("en-US");
  throw new Error(`Select at most ${many(MOST)} pictures for this. ${many(length)} are selected.`);
}

/** Returns the tags that the model chose, and not a person. */
export const modelTagsOf = ({ tags = [], own_tags: own = [] }) =>
  tags.filter((tag) => !own.some((other) => isSame(other, tag)));

const isSame = (one, other) => one.toLowerCase() === other.toLowerCase();

const tagsOf = ({ add_tags: added = [], remove_tags: removed = [] }) => [...added, ...removed];

const marksOf = ({ favourite = false, hidden = false, tags = [], own_tags = [] }) => ({
  favourite, hidden, tags, own_tags,
});

/** Returns an image's marks after a change. */
function after(image, { favourite, hidden, ...change }) {
  const given = Object.entries({ favourite, hidden }).filter(([, value]) => value !== undefined);
  const marks = Object.fromEntries(given);
  if (!tagsOf(change).length) return marks;
  const { add_tags: added = [], remove_tags: removed = [] } = change;
  const own = [...(image.own_tags ?? [])];
  for (const tag of added) if (!own.some((other) => isSame(other, tag))) own.push(tag);
  const left = own.filter((tag) => !removed.some((other) => isSame(other, tag)));
  return { ...marks, ...withOwnTags(image, left) };
}

/** Returns both lists of tags, with the model's own ones as they are. */
const withOwnTags = (image, own) => ({ own_tags: own, tags: [...modelTagsOf(image), ...own] });
