/** A file of requests on its way to a batch: its name, its upload, and its check. */

import { sleep } from "./api.js";
import { bytes } from "./format.js";
import { send } from "./uploads.js";

const FORMATS = ["csv", "jsonl"];
const MOST_BYTES = 100_000_000;
const MOST_LETTERS = 60;
const FIRST_LOOK_SECONDS = 0.5;
const SLOWEST_SECONDS = 3;

export const ACCEPTED = FORMATS.map((format) => `.${format}`).join(",");

const formatOf = (file) => file.name.split(".").pop().toLowerCase();

/** Returns why a file cannot be a batch, or null. */
export function problemOf(file) {
  if (!FORMATS.includes(formatOf(file)))
    return `${file.name} is not a CSV or JSON Lines file. Its name has to end in .csv or .jsonl.`;
  if (!file.size) return `${file.name} is empty.`;
  if (file.size > MOST_BYTES)
    return `${file.name} has ${bytes(file.size)}. The limit is ${bytes(MOST_BYTES)}.`;
  return null;
}

/** Returns a name for the batch of a file, of the letters that a name may have. */
export function nameFor(file) {
  const stem = file.name.replace(/\.[^.]*$/, "");
  const plain = stem.normalize("NFKD").replace(/[^A-Za-z0-9_.-]+/g, "-");
  return plain.replace(/^[-.]+|[-.]+$/g, "").slice(0, MOST_LETTERS) || "batch";
}

/** Uploads a file as the manifest of a batch. `onshare` is called with how much was sent. */
export async function uploadManifest(api, file, name, signal, onshare) {
  const body = { name, format: formatOf(file), bytes: file.size };
  const { upload } = await api.newBatch(body, signal);
  await send(file, upload, signal, onshare);
}

/** Checks the manifest of a batch without buying anything. Returns the batch as it ended. */
export async function checkManifest(api, file, name, options, signal) {
  const body = { ...options, format: formatOf(file), dry_run: true };
  let batch = await api.startBatch(name, body, signal);
  for (let seconds = FIRST_LOOK_SECONDS; batch.status === "running"; ) {
    await sleep(seconds, signal);
    seconds = Math.min(SLOWEST_SECONDS, seconds * 1.5);
    batch = await api.batch(name, { execution: batch.execution }, signal).catch((error) => {
      if (signal.aborted || !(error.isTransient || error.status === 404)) throw error;
      return batch;
    });
  }
  return batch;
}

/** Starts a batch with the version of the manifest that was checked. */
export const startChecked = (api, file, { name, version_id }, options) =>
  api.startBatch(name, { ...options, format: formatOf(file), version_id });
