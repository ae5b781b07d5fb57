/** Uploads files: the API gives a link to S3, the file goes there, and the API checks it. */

import { explain, sleep } from "./api.js";
import { bytes } from "./format.js";

/** The types that the API takes, by the ending of a file's name. */
const TYPES = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  bmp: "image/bmp",
  tif: "image/tiff",
  tiff: "image/tiff",
  avif: "image/avif",
};
const MOST_BYTES = 50_000_000;
const AT_ONCE = 3; // uploads that share the line
const FIRST_LOOK_SECONDS = 0.5; // after the file has arrived
const SLOWEST_SECONDS = 5;
const CHECK_MS = 120_000; // longer than the API takes to check a file
const FINAL = { isFinal: true };

/** What a file input accepts. */
export const ACCEPTED = [...new Set(Object.values(TYPES))].join(",");

const uploads = new Map(); // by id, over a change of the view
const lanes = Array.from({ length: AT_ONCE }, () => Promise.resolve());
let started = 0;

/** Starts an upload. It continues if the view is left. */
export function startUpload(api, file) {
  const upload = new Upload(api, file);
  uploads.set(upload.id, upload);
  upload.start();
  return upload;
}

/** Returns an upload of this page, or undefined. A reload forgets them all. */
export const uploadOf = (id) => uploads.get(id);

/** Cancels an upload and forgets it. */
export function dropUpload(id) {
  uploads.get(id)?.cancel();
  uploads.delete(id);
}

/** Why a file was not uploaded. `isFinal` is true if the same file would fail again. */
class UploadError extends Error {
  constructor(message, { isFinal = false } = {}) {
    super(message);
    Object.assign(this, { isFinal });
  }
}

class Upload {
  id = crypto.randomUUID();
  status = "waiting"; // then sending, checking, and ready or failed
  share = 0; // how much of the file was sent, 0 to 1
  error = null; // why it failed
  result = null; // the API's response once it is ready
  onchange = () => {}; // the view that shows it sets this
  #cancelled;

  constructor(api, file) {
    Object.assign(this, { api, file });
  }

  /** Starts it, or tries it again. */
  start() {
    this.#cancelled = new AbortController();
    this.#set({ status: "waiting", share: 0, error: null });
    const lane = started++ % AT_ONCE;
    lanes[lane] = lanes[lane].then(() => this.#run(this.#cancelled.signal));
  }

  cancel() {
    this.#cancelled.abort();
  }

  async #run(signal) {
    if (signal.aborted) return;
    try {
      const type = checkedType(this.file);
      this.#set({ status: "sending" });
      const { name, size } = this.file;
      const { id, upload } = await this.api.startUpload({ name, type, bytes: size }, signal);
      await send(this.file, upload, signal, (share) => this.#set({ share }));
      this.#set({ status: "checking", share: 1 });
      this.#set({ result: await untilChecked(this.api, id, signal), status: "ready" });
    } catch (error) {
      if (!signal.aborted) this.#set({ status: "failed", error: asUploadError(error) });
    }
  }

  #set(state) {
    Object.assign(this, state);
    this.onchange();
  }
}

/** Returns the file's type, or throws the reason why it is not worth sending. */
function checkedType({ name, type, size }) {
  const known = Object.values(TYPES).includes(type) ? type : TYPES[endingOf(name)];
  if (!known) throw new UploadError("Use a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF.", FINAL);
  if (!size) throw new UploadError("The file is empty.", FINAL);
  if (size > MOST_BYTES) {
    const limit = `It has ${bytes(size)}. The limit is ${bytes(MOST_BYTES)}.`;
    throw new UploadError(limit, FINAL);
  }
  return known;
}

const endingOf = (name) => name.split(".").pop().toLowerCase();

/** Sends the file. Unlike fetch, XMLHttpRequest reports how much was sent. */
export function send(file, { method, url, headers }, signal, onshare) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const fail = (message) => reject(new UploadError(message));
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onshare(loaded / total);
    request.onload = () =>
      request.status < 300 ? resolve() : fail("The storage refused the file. Try again.");
    request.onerror = () => fail("The connection broke. Check it and try again.");
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

/** Reads an upload until it was checked, and returns it. */
async function untilChecked(api, id, signal) {
  const end = Date.now() + CHECK_MS;
  for (let seconds = FIRST_LOOK_SECONDS; Date.now() < end; ) {
    await sleep(seconds, signal);
    seconds = Math.min(SLOWEST_SECONDS, seconds * 1.5);
    const upload = await api.upload(id, signal).catch((error) => {
      if (signal.aborted || !error.isTransient) throw error;
      return { status: "waiting" };
    });
    if (upload.status === "ready") return upload;
    if (upload.status === "refused") throw new UploadError(sentence(upload.problem), FINAL);
  }
  throw new UploadError("The check takes too long. Try again.");
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

function asUploadError(error) {
  if (error instanceof UploadError) return error;
  const isFinal = error.status >= 400 && error.status < 500 && error.status !== 404;
  return new UploadError(explain(error), { isFinal: isFinal && !error.isTransient });
}
