/** Writes images into a ZIP file while they are downloaded, with a table of them. */

import { ApiError } from "./api.js";

const FRESH_MS = 60_000; // a link that expires sooner is renewed before its download starts
const TABLE = "images.csv";
const COLUMNS = [
  "file", "id", "title", "prompt", "cost_usd", "model", "folder", "tags", "favourite", "stored_at",
];
/** A spreadsheet takes a cell that begins with one of these as a formula. */
const FORMULA = /^[=+\-@\t\r]/;
const MARK = "\ufeff"; // spreadsheets then read the table as UTF-8

/**
 * Returns the stream of a ZIP file with these images.
 *
 * `onprogress(count)` is called after each image. `onmissing(image)` is called for an image that
 * cannot be downloaded, and the others follow. The signal ends the stream with its error.
 */
export async function zipImages(api, images, { signal, onprogress, onmissing }) {
  const { makeZip } = await import("../vendor/client-zip-2.5.1/index.js");
  return makeZip(filesOf(api, images, { signal, onprogress, onmissing }), { buffersAreUTF8: true });
}

async function* filesOf(api, images, { signal, onprogress, onmissing }) {
  const names = new FileNames([TABLE]);
  const rows = [];
  for (const [index, listed] of images.entries()) {
    const opened = await open(api, listed, signal);
    if (opened) {
      const name = names.unique(opened.image.key.split("/").pop());
      rows.push(rowOf(name, opened.image));
      yield { name, input: opened.response, lastModified: new Date(opened.image.stored_at) };
    } else onmissing(listed);
    onprogress(index + 1);
  }
  yield { name: TABLE, input: MARK + toCsv([COLUMNS, ...rows]) };
}

/** Returns an image with the response of its download, or null if it is not stored any more. */
async function open(api, listed, signal) {
  let image = listed;
  const isFresh = ({ links }) => links && Date.parse(links.expires_at) - Date.now() > FRESH_MS;
  let mayRenew = true;
  // Lists cut long prompts.
  if (image.prompt_cut || !isFresh(image)) {
    mayRenew = false;
    image = await read(api, listed, signal);
    if (!image) return null;
  }
  for (;;) {
    // The browser may have the picture in its cache without the right to read it.
    const response = await fetch(image.links.download, { signal, cache: "no-store" });
    if (response.ok) return { image, response };
    if (!mayRenew) return null;
    mayRenew = false;
    image = await read(api, listed, signal);
    if (!image) return null;
  }
}

async function read(api, { id }, signal) {
  try {
    const image = await api.image(id, signal);
    return image.links ? image : null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** File names that differ in more than case, because some file systems ignore it. */
class FileNames {
  #taken;

  constructor(taken) {
    this.#taken = new Set(taken);
  }

  /** Returns the name, with a number before its ending if it is taken. */
  unique(name) {
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let n = 2; this.#taken.has(free.toLowerCase()); n += 1) free = `${stem} (${n})${ending ?? ""}`;
    this.#taken.add(free.toLowerCase());
    return free;
  }
}

const rowOf = (file, image) => COLUMNS.map((name) => (name === "file" ? file : image[name]));

const toCsv = (rows) => rows.map((row) => `${row.map(toCell).join(",")}\r\n`).join("");

function toCell(value) {
  const text = Array.isArray(value) ? value.join("; ") : String(value ?? "");
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
