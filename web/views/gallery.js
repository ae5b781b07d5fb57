/** The view of all images, newest first, endless, with a search, filters and a selection. */

import { keep, recall } from "../client/address.js";
import { sleep } from "../client/api.js";
import { many, when } from "../client/format.js";
import { fits } from "../client/image_search.js";
import { watchMarks } from "../client/marks.js";
import { catchUp } from "../client/recent_changes.js";
import { Selection } from "../client/selection.js";
import { loadListStyle, loadStyle } from "../client/styles.js";
import { DeleteFolderDialog } from "../parts/delete_folder_dialog.js";
import {
  Button,
  ButtonLink,
  html,
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef,
  useState,
} from "../parts/elements.js";
import { GalleryFilters, KNOWN } from "../parts/gallery_filters.js";
import { ImageGrid } from "../parts/image_grid.js";
import { timesOf, useFilters } from "../parts/list_filters.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { NothingFound } from "../parts/nothing_found.js";
import { say } from "../parts/notices.js";
import { Loading } from "../parts/placeholders.js";
import { SelectionBar } from "../parts/selection_bar.js";

const PAGE = 24;
const FOLDER = "folder";
const TRIES = 4; // readings of a list until it agrees with its folder's count
const AHEAD = "800px"; // how far below the screen the next page is read already

export const load = () => Promise.all([loadListStyle(), loadStyle("web/styles/selection.css")]);

export function View({ api, signal, query }) {
  const [filters, change] = useFilters("gallery", query, KNOWN);
  const queryOf = (values) => ({ ...values, ...timesOf(values) });
  const list = usePagedList(async (cursor, until) => {
    const page = await api.images({ ...queryOf(filters), cursor, limit: PAGE }, until);
    return { items: page.images, cursor: page.cursor };
  }, signal, ({ items, cursor }) => {
    const page = catchUp({ images: items, cursor }, filters);
    return { items: page.images, cursor };
  });
  const folder = useFolder(api, signal, filters, list);
  const choices = useChoices(api, signal);
  useRestart(list, filters);
  useMarks(list, filters, signal);
  const selection = useSelection(filters);

  async function find(others) {
    const page = await api.images({ ...queryOf(others), limit: 1 }, list.signal);
    return page.images.length > 0;
  }
  return html`
    <div class="heading"><h1 tabindex="-1">Gallery</h1></div>
    <div class="bar">
      <${GalleryFilters} filters=${filters} onchange=${change} api=${api} ...${choices} />
      <${Tools} folder=${folder} api=${api} selection=${selection} />
    </div>
    <${Wall} list=${list} api=${api} selection=${selection}>
      <${NothingFound}
        key=${JSON.stringify(filters)} filters=${filters} people=${choices.people}
        find=${find} onchange=${change}
      />
    <//>
    ${selection.isOn && html`<${SelectionBar} selection=${selection} list=${list} api=${api} />`}
  `;
}

/** Returns the selection. Other filters end it, because nobody would see what is selected. */
function useSelection(filters) {
  const [, redraw] = useReducer((number) => number + 1, 0);
  const [selection] = useState(() => new Selection(redraw));
  useLayoutEffect(() => selection.select([]), [filters]);
  return selection;
}

/** Reads the list from its beginning when the filters change. */
function useRestart(list, filters) {
  const isFirst = useRef(true);
  useLayoutEffect(() => {
    if (isFirst.current) return void (isFirst.current = false);
    list.restart();
  }, [filters]);
}

/** Returns what some filters offer: people, and the stack's topics and models. */
function useChoices(api, signal) {
  const [people, setPeople] = useState([]);
  const [offer, setOffer] = useState(null);
  useEffect(() => {
    // They only help to choose a filter.
    api.people(signal).then((all) => setPeople(all.people), () => {});
    api.estimate({}, signal).then(setOffer, () => {});
  }, []);
  return { people, offer };
}

/** Follows changed marks and folders: an image that no longer fits leaves, and Undo puts it back. */
function useMarks(list, filters, signal) {
  const { current } = useRef({});
  Object.assign(current, { filters });
  useLayoutEffect(() => void (current.left = new Map()), [filters]);
  useEffect(() => {
    watchMarks((changes) => {
      const stays = (image) => fits(image, current.filters);
      for (const image of list.items) if (changes.has(image.id)) current.left.set(image.id, image);
      list.change(changes, stays);
      for (const [id, fields] of changes) {
        const image = current.left.get(id);
        if (image && stays(Object.assign(image, fields))) list.putBack(image);
      }
    }, signal);
  }, []);
}

/** Returns the chosen folder or null. It is read again whenever images are deleted or restored. */
function useFolder(api, signal, filters, list) {
  // Without the earlier folder, the bar would grow and move the images that Back has shown again.
  const [folder, setFolder] = useState(() => recall(FOLDER) ?? null);
  const latest = useRef();
  latest.current = { filters, folder };

  /** Returns the folder's count if it has changed, or else null. */
  async function read() {
    const { filters: { folder: name }, folder: before } = latest.current;
    if (!name) return null;
    const [now = { name, count: 0, bytes: 0 }] = (await api.folders({ name }, signal)).folders;
    if (name !== latest.current.filters.folder) return null;
    setFolder(now);
    if (!signal.aborted) keep(FOLDER, now);
    return now.count === (before?.name === name ? before.count : 0) ? null : now.count;
  }
  /** The grid follows a single image by itself, but not a whole folder, which it may get late. */
  async function refresh() {
    const count = await read();
    const differs = () => count !== null && count !== list.items.length && !list.cursor;
    const { folder: _folder, ...others } = latest.current.filters;
    const most = Object.values(others).some(Boolean) ? 1 : TRIES; // the images found may be fewer
    for (let tries = 0; differs() && tries < most; tries += 1) {
      if (tries) await sleep(tries / 2, list.signal);
      await list.restart();
    }
  }
  useEffect(() => {
    read().catch(() => {}); // without the count, the images still show
  }, [filters.folder]);
  useEffect(() => {
    addEventListener("easel:pictures", () => refresh().catch(() => {}), { signal });
  }, []);
  return folder && folder.name === filters.folder ? folder : null;
}

function Tools({ folder, api, selection }) {
  const [isAsking, setAsking] = useState(false);
  const dialog = () => html`
    <${DeleteFolderDialog} folder=${folder} api=${api} onclose=${() => setAsking(false)} />
  `;
  return html`
    <div class="tools">
      <${Button}
        onclick=${() => selection.turn(!selection.isOn)}
        class="quiet"
        icon="select"
        aria-pressed=${String(selection.isOn)}
      >
        Select
      <//>
      <${ButtonLink} href="#deleted" class="quiet" icon="bin">Recently deleted<//>
      ${api.mayMake && folder?.count > 0 &&
      html`
        <${Button} onclick=${() => setAsking(true)} class="quiet danger" icon="cross">
          Delete this folder
        <//>
      `}
      ${isAsking && folder && dialog()}
    </div>
  `;
}

/** Returns a ref for the list's end, and reads the next page before the end comes into sight. */
function useReadAhead(list, readOn) {
  const end = useRef();
  useEffect(() => {
    if (!list.cursor || list.error) return;
    const seen = (entries) => entries.some(({ isIntersecting }) => isIntersecting) && readOn();
    const watcher = new IntersectionObserver(seen, { rootMargin: AHEAD });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [list.cursor, list.error]);
  return end;
}

/** The images of the list, and its end. */
function Wall({ list, api, selection, children }) {
  const [tiles, readMore] = useFocusOnMore(list, readOn);
  const end = useReadAhead(list, readOn);
  const isFirstPage = !list.hasRead;

  async function readOn() {
    if (list.hasRead && !list.cursor) return list.items;
    const known = list.items.length;
    const added = await list.readMore();
    if (known && added) say(`${many(added, "more picture")}.`);
    return list.items;
  }

  return html`
    <div class="wall">
      ${isFirstPage && list.isReading && html`<${Loading}>Loading pictures…<//>`}
      ${!isFirstPage &&
      html`
        <${ImageGrid}
          images=${list.items}
          api=${api}
          signal=${list.signal}
          tilesRef=${tiles}
          selection=${selection}
          onnearend=${readOn}
          onremove=${(image) => list.remove(image)}
          onputback=${(image) => list.putBack(image)}
        />
      `}
    </div>
    <div class="end" ref=${end}>
      ${!(isFirstPage && list.isReading) &&
      html`
        <${ListEnd}
          list=${list}
          loading=${progressOf(list)}
          more="More pictures"
          readMore=${readMore}
          onretry=${readOn}
        >
          ${children}
        <//>
      `}
    </div>
  `;
}

/** How far the list is read. A page may be short, or empty, although more follow. */
function progressOf({ items }) {
  const last = items.at(-1);
  if (!last) return "Nothing found among the newest pictures. Searching older ones…";
  return `${many(items.length, "picture")} back to ${when(last.stored_at)}. Loading older ones…`;
}
