/** Keeps a list fresh while its view is shown. */

import { explain } from "../client/api.js";
import { keepFresh } from "../client/run_polling.js";
import { html, useEffect, useState } from "./elements.js";

/** Refreshes a list, more often while something in it runs. Returns a line with what fails now. */
export function useFreshness(list, signal) {
  const [trouble, setTrouble] = useState(null);
  useEffect(() => {
    const left = new AbortController();
    const isBusy = () => list.items.some(({ status }) => status === "running");
    keepFresh(list, {
      isBusy,
      signal: AbortSignal.any([signal, left.signal]),
      ontrouble: setTrouble,
    }).catch((error) => signal.aborted || left.signal.aborted || setTrouble(error));
    return () => left.abort();
  }, []);
  return html`
    <p class="wrong" role="status">${trouble && `${explain(trouble)} Easel keeps trying.`}</p>
  `;
}

const MOST_ROUNDS = 4; // reads of one page

/** Reads pages until one has an item: a filtered page may be empty although more follow. */
export async function readFiltered(readPage, cursor) {
  for (let rounds = 1; ; rounds += 1) {
    const page = await readPage(cursor);
    if (page.items.length || !page.cursor || rounds === MOST_ROUNDS) return page;
    cursor = page.cursor;
  }
}
