/** A list that the API returns page by page. */

/**
 * Holds the pages read so far.
 *
 * `readPage(cursor, signal)` returns `{ items, cursor }`; `onchange` is called on every change.
 * `start` are pages that were read before, if there are any.
 */
export class PagedList {
  items = [];
  cursor = null;
  error = null;
  isReading = false;
  hasRead = false; // whether the first page is here
  signal; // aborted when the list restarts or the view is left
  #leaving;
  #restarting;

  constructor({ readPage, signal, onchange, start }) {
    Object.assign(this, { readPage, onchange }, start && { ...start, hasRead: true });
    this.#leaving = signal;
    this.#begin();
  }

  /** Whether there is nothing to show and nothing more to read. */
  get isEmpty() {
    return this.hasRead && !this.items.length && !this.cursor && !this.isReading;
  }

  /** Reads the next page and returns the number of items that it added. */
  async readMore() {
    if (this.isReading) return 0;
    const { signal } = this;
    this.#set({ isReading: true, error: null });
    try {
      const { items, cursor } = await this.readPage(this.cursor, signal);
      if (signal.aborted) return 0;
      const known = new Set(this.items.map(({ id }) => id));
      const added = items.filter(({ id }) => !known.has(id));
      const all = [...this.items, ...added];
      this.#set({ isReading: false, hasRead: true, cursor, items: all });
      return added.length;
    } catch (error) {
      if (!signal.aborted) this.#set({ isReading: false, error });
      return 0;
    }
  }

  /** Reads the first page again: it replaces the old one, and the pages below it stay. */
  async refresh() {
    if (this.isReading || !this.hasRead) return;
    const { signal } = this;
    const { items, cursor } = await this.readPage(null, signal);
    if (signal.aborted || this.isReading) return;
    const last = this.items.findIndex(({ id }) => id === items.at(-1)?.id);
    const below = last < 0 || !cursor ? [] : this.items.slice(last + 1);
    this.#set({ items: [...items, ...below], cursor: below.length ? this.cursor : cursor });
  }

  /** Reads the list from its beginning. */
  restart() {
    this.#restarting.abort();
    this.#begin();
    this.#set({ items: [], cursor: null, error: null, isReading: false, hasRead: false });
    return this.readMore();
  }

  remove(item) {
    this.#set({ items: this.items.filter(({ id }) => id !== item.id) });
  }

  /** Applies the changed fields of some items, by id, and drops those that `stays` refuses. */
  change(changes, stays) {
    const changed = this.items.filter(({ id }) => changes.has(id));
    for (const item of changed) Object.assign(item, changes.get(item.id));
    this.#set({ items: this.items.filter((item) => !changes.has(item.id) || stays(item)) });
  }

  /** Puts an image back to its place: the newest is first. */
  putBack(image) {
    if (this.items.some(({ id }) => id === image.id)) return;
    const index = this.items.findIndex((other) => other.stored_at < image.stored_at);
    const at = index < 0 ? this.items.length : index;
    this.#set({ items: this.items.toSpliced(at, 0, image) });
  }

  #begin() {
    this.#restarting = new AbortController();
    this.signal = AbortSignal.any([this.#leaving, this.#restarting.signal]);
  }

  #set(state) {
    Object.assign(this, state);
    this.onchange();
  }
}
