/** Downloads the selected images as one ZIP file, with its progress and a way to cancel. */

import { explain, noAnswer } from "../client/api.js";
import { many } from "../client/format.js";
import { zipImages } from "../client/zip.js";
import { Button, html, useEffect, useRef, useState } from "./elements.js";
import { nameOf } from "./mark_buttons.js";
import { note, say } from "./notices.js";

const KEPT_MS = 60_000; // how long the browser has to start saving
const FILE_TYPES = [{ description: "ZIP file", accept: { "application/zip": [".zip"] } }];

export function ZipDownload({ images, api, isBusy }) {
  const [progress, setProgress] = useState(null); // { done, total }
  const work = useRef(null); // the AbortController of the download
  useEffect(() => () => work.current?.abort(), []);

  async function start() {
    if (isBusy || work.current) return;
    if (!images.length) return say("Select some pictures first.");
    work.current = new AbortController();
    const { signal } = work.current;
    const total = images.length;
    const missing = [];
    setProgress({ done: 0, total });
    try {
      const target = await chooseTarget();
      const options = {
        signal,
        onprogress: (done) => signal.aborted || setProgress({ done, total }),
        onmissing: (image) => missing.push(image),
      };
      await target.save(() => zipImages(api, images, options), signal);
      report(total, missing);
    } catch (error) {
      if (error.name === "AbortError") say("The download is cancelled.");
      else note(`The ZIP file could not be made. ${explain(known(error))}`, { failed: true, seconds: 20 });
    }
    work.current = null;
    setProgress(null);
  }

  if (progress)
    return html`
      <span class="progress-line">
        <progress
          value=${progress.done} max=${progress.total} aria-label="Pictures in the ZIP file"
        ></progress>
        ${progress.done} of ${progress.total}
        <${Button} onclick=${() => work.current?.abort()} class="quiet" icon="cross">Cancel download<//>
      </span>
    `;
  return html`
    <${Button}
      onclick=${start}
      icon="down"
      class="secondary"
      aria-disabled=${isBusy || !images.length ? "true" : null}
    >
      Download ZIP
    <//>
  `;
}

/** A failed fetch is a TypeError without words for people. */
const known = (error) => (error instanceof TypeError ? noAnswer() : error);

function report(total, missing) {
  const done = many(total - missing.length, "picture");
  if (!missing.length) return note(`${done} downloaded as a ZIP file.`);
  const names = missing.slice(0, 5).map(nameOf).join(", ");
  const rest = missing.length > 5 ? ` and ${missing.length - 5} more` : "";
  note(`${done} downloaded. No longer stored, so not in the ZIP file: ${names}${rest}.`, {
    failed: true,
    seconds: 20,
  });
}

/**
 * Returns where to save the file. It throws an AbortError if someone chooses no place.
 *
 * Where the browser can write to a file, a ZIP file of any size needs no memory.
 */
async function chooseTarget() {
  const name = `easel-${new Date().toISOString().slice(0, 10)}.zip`;
  if (!globalThis.showSaveFilePicker) return { save: (open, signal) => saveBlob(name, open, signal) };
  const file = await showSaveFilePicker({ suggestedName: name, types: FILE_TYPES });
  return { save: (open, signal) => saveFile(file, open, signal) };
}

async function saveFile(file, open, signal) {
  try {
    const writable = await file.createWritable();
    await (await open()).pipeTo(writable, { signal });
  } catch (error) {
    await file.remove?.().catch(() => {}); // the browser has made an empty file
    throw signal.aborted ? signal.reason : error;
  }
}

async function saveBlob(name, open, signal) {
  const stream = await open();
  const blob = await new Response(stream, { headers: { "Content-Type": "application/zip" } })
    .blob()
    .catch((error) => Promise.reject(signal.aborted ? signal.reason : error));
  signal.throwIfAborted();
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
