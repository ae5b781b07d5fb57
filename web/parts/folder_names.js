/** The names of folders that help to type one. */

import { html, useEffect, useState } from "./elements.js";

const PAUSE_MS = 300; // after the last key

/**
 * A list for an input: the first folders whose names begin with what is typed.
 *
 * There may be thousands of folders, so the API is asked again unless it has listed all of them.
 */
export function FolderNames({ id, api, typed }) {
  const [page, setPage] = useState(null);
  useEffect(() => {
    if (page && !page.cursor && typed.startsWith(page.prefix)) return;
    const stop = new AbortController();
    const read = () =>
      api.folders({ prefix: typed }, stop.signal).then(
        (answer) => setPage({ ...answer, prefix: typed }),
        () => {}, // they only help to type a name
      );
    const timer = setTimeout(read, page ? PAUSE_MS : 0);
    return () => (clearTimeout(timer), stop.abort());
  }, [typed]);
  const folders = page?.folders ?? [];
  return html`
    <datalist id=${id}>
      ${folders.map(
        ({ name, count }) => html`<option key=${name} value=${name}>${`${name} (${count})`}</option>`,
      )}
    </datalist>
  `;
}
