/** The images that the form's pictures are made from, and the mask of the first one. */

import { ApiError } from "./api.js";
import { factsOf, identityOf, unsentIn } from "./form_values.js";
import { many } from "./format.js";
import { dropUpload, startUpload, uploadOf } from "./uploads.js";

const UPLOADED = /^references\/([0-9a-f]{32})\./;
const LOST = Object.assign(new Error("The page was reloaded before the upload finished."), {
  isFinal: true,
});
const MASK = "The mask";
const SEARCHED = 100; // images of a folder among which one is looked for by its key

/**
 * Adds, moves and removes the references of a MakeForm's values, and follows their uploads.
 *
 * `say(text)` has a screen reader read it out, and `note(text)` also shows it.
 */
export class ReferenceImages {
  notice = null; // what could not be added
  #halfway = new Set(); // the uploads whose half was announced

  constructor({ api, form, say, note }) {
    Object.assign(this, { api, form, say, note });
    for (const { upload } of unsentIn(form.values)) this.#follow(uploadOf(upload));
    this.#takeKeys();
  }

  get items() {
    return this.form.values.reference_images;
  }

  get mask() {
    return this.form.values.mask;
  }

  /** How many the chosen model takes. */
  get limit() {
    return factsOf(this.form.values, this.form.models)?.reference_images ?? 0;
  }

  /** What is wrong with them all together, or null. */
  get problem() {
    const { length } = this.items;
    const { model } = this.form.values;
    if (length <= this.limit) return null;
    if (!this.limit) return `${model} takes no reference images. Remove them or change the model.`;
    const most = `${model} takes at most ${many(this.limit, "reference image")}.`;
    return `${most} Remove ${length - this.limit}.`;
  }

  /** Whether files are still being uploaded, and nothing has to be done about it. */
  get isWaiting() {
    return this.#unready.length > 0 && !this.#failed.length;
  }

  /** Why the pictures cannot be made yet, or null. */
  get reason() {
    const [unready, failed] = [this.#unready, this.#failed];
    if (failed.length) {
      const retry = failed.some(({ canRetry }) => canRetry) ? "Try again, or remove" : "Remove";
      return `${subject(failed)} not uploaded. ${retry} the failed files.`;
    }
    if (unready.length) return `${subject(unready)} still being uploaded.`;
    return this.problem;
  }

  /** Returns how far an item is: its status, the share that was sent, and its error. */
  stateOf({ key, upload, name }) {
    if (key) return { status: "ready", name };
    const { status, share, error } = uploadOf(upload) ?? { status: "failed", error: LOST };
    return { status, share, error, name, canRetry: error?.isFinal === false };
  }

  /** Adds as many of the files as there is room for, and uploads them. */
  add(files) {
    const room = Math.max(0, this.limit - this.items.length);
    const added = files.slice(0, room).map((file) => startUpload(this.api, file));
    const left = files.length - added.length;
    this.notice = left
      ? `${many(left, "file")} not added: ${this.form.values.model} takes ` +
        `${many(this.limit, "reference image")}.`
      : null;
    for (const upload of added) this.#follow(upload);
    const started = added.length ? `Uploading ${many(added.length, "file")}.` : "";
    this.say([started, this.notice].filter(Boolean).join(" "));
    const items = added.map(({ id, file }) => ({ upload: id, name: file.name }));
    this.#change([...this.items, ...items]);
  }

  /** Adds an image of the gallery, as `referenceTo` returns it. */
  addImage(item) {
    const isKnown = this.items.some(({ key }) => key === item.key);
    if (!isKnown) this.#change([...this.items, item]);
    this.say(`${item.name || "The picture"} is ${isKnown ? "already " : ""}added.`);
  }

  retry({ upload }) {
    this.#halfway.delete(upload);
    uploadOf(upload).start();
  }

  remove(item) {
    this.notice = null;
    dropUpload(item.upload);
    this.say(`${item.name ?? "The image"} is removed.`);
    this.#change(this.items.filter((other) => other !== item));
  }

  /** Moves an item by one place, to the left with -1. */
  move(item, by) {
    const from = this.items.indexOf(item);
    const to = from + by;
    if (to < 0 || to >= this.items.length) return;
    this.say(`Image ${from + 1} is now Image ${to + 1}.`);
    this.#change(this.items.toSpliced(from, 1).toSpliced(to, 0, item));
  }

  /** Uploads a mask for the first image. `strokes` are what it was drawn with. */
  setMask(file, strokes) {
    dropUpload(this.mask?.upload);
    const upload = startUpload(this.api, file);
    this.#follow(upload);
    const mask = { upload: upload.id, name: MASK, of: identityOf(this.items[0]), strokes };
    this.form.change({ mask });
  }

  removeMask() {
    dropUpload(this.mask?.upload);
    this.form.change({ mask: null });
    this.say("The mask is removed.");
  }

  /** The states of what has no key yet, among the references and the mask. */
  get #unready() {
    return unsentIn(this.form.values).map((item) => this.stateOf(item));
  }

  get #failed() {
    return this.#unready.filter(({ status }) => status === "failed");
  }

  #change(reference_images) {
    const had = this.mask;
    this.form.change({ reference_images });
    if (!had || this.mask) return;
    dropUpload(had.upload);
    this.note("The mask is removed, because Image 1 has changed.");
  }

  #follow(upload) {
    if (upload) upload.onchange = () => this.form.signal.aborted || this.#arrive(upload);
  }

  #arrive({ id, file, status, share, error }) {
    if (status === "ready") {
      this.say(`${file.name} is uploaded.`);
      this.#takeKeys();
    } else this.form.onchange();
    if (status === "failed") this.say(`${file.name} could not be uploaded. ${error.message}`);
    if (status === "sending" && share > 0.5 && !this.#halfway.has(id)) {
      this.#halfway.add(id);
      this.say(`${file.name} is half uploaded.`);
    }
  }

  /** Adds the keys of the uploads that are ready. */
  #takeKeys() {
    const isReady = ({ upload }) => uploadOf(upload)?.status === "ready";
    if (!unsentIn(this.form.values).some(isReady)) return;
    const take = (item) =>
      item && !item.key && isReady(item)
        ? { ...item, key: uploadOf(item.upload).result.key }
        : item;
    this.form.change({ reference_images: this.items.map(take), mask: take(this.mask) });
  }
}

function subject([{ name }, ...others]) {
  if (others.length) return `${many(others.length + 1, "file")} are`;
  return name === MASK ? `${MASK} is` : `“${name}” is`;
}

/**
 * Returns what a reference is: its name, its size in pixels, and links to it.
 *
 * `item` is `{ key }`, with the id of an image of the gallery as `image` if it is known.
 */
export async function readReference(api, { key, image }, signal) {
  const upload = UPLOADED.exec(key)?.[1];
  if (upload) {
    const { name, width, height, thumbnail, picture } = await api.upload(upload, signal);
    return { name, width, height, thumbnail, picture };
  }
  const found = image ? await api.image(image, signal) : await find(api, key, signal);
  if (!found?.links) throw new ApiError({ status: 404, detail: "It was deleted." });
  const { title, width, height, links } = found;
  return { name: title || key, width, height, ...links };
}

/** Looks for an image among the newest of its folder. */
async function find(api, key, signal) {
  const folder = key.slice(0, key.lastIndexOf("/"));
  const { images } = await api.images({ folder, limit: SEARCHED }, signal);
  return images.find((image) => image.key === key);
}
