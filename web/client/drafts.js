/** What the form that makes images holds, kept in this tab over views and reloads. */

import { asItem, carriedFrom, identityOf } from "./form_values.js";
import { many } from "./format.js";

const DRAFT = "easel.draft";
const EARLIER_DRAFT = "easel.earlier-draft";
const EDITED_PROMPTS = "easel.edited-prompts";
const VARIATIONS = 3; // how many pictures "Vary" offers

const read = (place) => JSON.parse(sessionStorage.getItem(place) ?? "{}");
const write = (place, values) => sessionStorage.setItem(place, JSON.stringify(values));

export const readDraft = () => read(DRAFT);

/** Keeps the values while people look elsewhere, and over a reload. */
export const keepDraft = (values) => write(DRAFT, values);

/** Notes that the draft was sent, so nothing is lost with it. */
export const markDraftSent = () => keepDraft({ ...readDraft(), isSent: true });

/** Returns whether words or reference images would be lost with the draft. */
export function hasUnsentWork(draft = readDraft()) {
  return Boolean(draft.idea?.trim() || draft.reference_images?.length) && !draft.isSent;
}

/** Returns a draft's words, or how many reference images it has if there are none. */
export function summaryOf({ idea = "", reference_images: references = [] }) {
  const words = idea.trim();
  return words ? `“${shortened(words)}”` : many(references.length, "reference image");
}

/** Returns a text's beginning. */
export const shortened = (text, most = 120) =>
  text.length > most ? `${text.slice(0, most)}…` : text;

/** Returns the draft that another one replaced before it was sent, or null. */
export const earlierDraft = () => (sessionStorage.getItem(EARLIER_DRAFT) ? read(EARLIER_DRAFT) : null);

export const forgetEarlierDraft = () => sessionStorage.removeItem(EARLIER_DRAFT);

/** Makes the earlier draft the draft again. */
export function restoreEarlierDraft() {
  keepDraft(earlierDraft());
  forgetEarlierDraft();
}

/** Forgets everything that was written, because someone else may sign in. */
export function forgetDrafts() {
  sessionStorage.removeItem(DRAFT);
  sessionStorage.removeItem(EDITED_PROMPTS);
  forgetEarlierDraft();
}

/** Returns the edited prompt of a run that has only written it, or undefined. */
export const editedPrompt = (runId) => read(EDITED_PROMPTS)[runId];

/** Keeps the edited prompt of a run, or forgets it without a text. */
export const keepEditedPrompt = (runId, text) =>
  write(EDITED_PROMPTS, { ...read(EDITED_PROMPTS), [runId]: text });

function replaceDraft(values) {
  const draft = readDraft();
  if (hasUnsentWork(draft) && !isSameWork(draft, values)) write(EARLIER_DRAFT, draft);
  keepDraft({ ...values, isSent: true });
}

const isSameWork = (draft, { idea, reference_images: references = [] }) =>
  draft.idea === idea && keysIn(draft.reference_images) === keysIn(references);

const keysIn = (references = []) => references.map(({ key }) => key).join();

/** Keeps a run's request as the draft, so its words can be changed. */
export function keepRequestAsDraft(request) {
  const { reference_images: references, mask } = request;
  replaceDraft({
    ...draftOf(request),
    ...(Array.isArray(references) && withMask(references.map(asItem), mask && asItem(mask))),
  });
}

/** Returns the draft of a request, without its references. */
function draftOf({ prompt, description, topics, count, reference_images, mask, ...rest }) {
  return {
    ...rest,
    carried: carriedFrom(rest),
    idea: prompt ?? description ?? "",
    verbatim: Boolean(prompt),
    ...(count && { count: String(count) }),
  };
}

/** Returns the values for references and a mask of the first one. */
const withMask = (references, mask) => ({
  reference_images: references,
  mask: mask && references.length ? { ...mask, of: identityOf(references[0]) } : null,
});

/**
 * Keeps the request that an image was made from as the draft. `image` is the API's whole one.
 *
 * Images of older versions have no request: their prompt is kept instead.
 */
export function keepIdeaAsDraft(image) {
  const { request } = image;
  if (!request) return keepImageAsDraft(image);
  replaceDraft({ ...madeLike(image), ...draftOf(request), ...inputsOf(image) });
}

/** Keeps an image's prompt as the draft, with the other fields of its request. */
export function keepImageAsDraft(image) {
  // The prompt has been written with the style and with what to avoid.
  const { style, avoid, ...request } = image.request ?? {};
  const draft = draftOf({ ...request, prompt: image.prompt });
  replaceDraft({ ...madeLike(image), ...draft, ...inputsOf(image) });
}

/** Returns the references of an image and its mask under their present keys. */
function inputsOf({ request, references = [] }) {
  // Without references of its own, the request has those of its preset.
  if (request && !request.reference_images) return {};
  const inputs = references.map(({ key, id, is_mask: isMask }) => ({ item: { key, image: id }, isMask }));
  const pictures = inputs.filter(({ isMask }) => !isMask).map(({ item }) => item);
  return withMask(pictures, inputs.find(({ isMask }) => isMask)?.item);
}

/** Keeps a draft that changes an image. What should change is still to be written. */
export function keepEditAsDraft(image) {
  replaceDraft({ ...madeLike(image), ...from(image), idea: "", purpose: "edit" });
}

/** Keeps a draft that makes variations of an image. */
export function keepVariationsAsDraft(image) {
  const count = String(VARIATIONS);
  replaceDraft({ ...madeLike(image), ...from(image), idea: image.prompt, count, purpose: "vary" });
}

/** Adds an image to the draft's references. */
export function addReferenceToDraft(image) {
  const { isSent, ...draft } = readDraft();
  const others = (draft.reference_images ?? []).filter(({ key }) => key !== image.key);
  keepDraft({ ...draft, reference_images: [...others, referenceTo(image)] });
}

/** Returns an image of the API as a reference of the form. */
export const referenceTo = ({ key, id, title }) => ({ key, image: id, name: title });

const from = (image) => ({ reference_images: [referenceTo(image)] });

const madeLike = (image) => ({
  verbatim: true,
  size: image.size ?? `${image.width}x${image.height}`,
  quality: image.quality,
  model: image.model,
  folder_name: image.folder,
  output_format: image.output_format,
  background: image.background,
});
