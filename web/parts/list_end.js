/** Reads a paged list for a view, and shows the place below its items. */

import { keep, recall } from "../client/address.js";
import { PagedList } from "../client/paged_list.js";
import { Button, html, useLayoutEffect, useReducer, useRef, useState } from "./elements.js";
import { Failed, Loading } from "./placeholders.js";

const LIST = "list";

/**
 * Returns a list whose first page is read at once and whose changes redraw the view.
 *
 * If the browser goes back to the view, the list is as it was left. `revive(pages)` adds what
 * has changed since.
 */
export function usePagedList(readPage, signal, revive = (pages) => pages) {
  const [, redraw] = useReducer((number) => number + 1, 0);
  const [list] = useState(() => {
    const start = recall(LIST) && revive(recall(LIST));
    return new PagedList({ readPage, signal, onchange: redraw, start });
  });
  list.readPage = readPage; // it may depend on what the view shows now
  useLayoutEffect(() => {
    if (!list.hasRead) list.readMore();
    const leave = () => list.hasRead && keep(LIST, { items: list.items, cursor: list.cursor });
    signal.addEventListener("abort", leave, { once: true });
  }, []);
  return list;
}

/** Returns a ref for the element that holds the items, and `readMore`, which focuses the first. */
export function useFocusOnMore(list, read = () => list.readMore()) {
  const element = useRef();
  const toFocus = useRef(null);
  useLayoutEffect(() => {
    const item = element.current?.children[toFocus.current];
    if (!item) return;
    toFocus.current = null;
    item.querySelector("a, button").focus();
  });
  const readMore = () => {
    toFocus.current = list.items.length;
    return read();
  };
  return [element, readMore];
}

/** Loading, failed, a button for more, or `children` if the list is empty. */
export function ListEnd({ list, loading, more, readMore, onretry, children }) {
  const retry = onretry ?? (() => list.readMore());
  if (list.isReading) return html`<${Loading}>${loading}<//>`;
  if (list.error) return html`<${Failed} error=${list.error} onretry=${retry} />`;
  if (list.cursor) return html`<${Button} onclick=${readMore} class="secondary">${more}<//>`;
  return list.isEmpty ? children : null;
}
