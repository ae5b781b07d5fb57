/** The view of all images, newest first, endless, filtered by folder and topic. */

import { keep, recall, showFilters } from "../client/address.js";
import { sleep } from "../client/api.js";
import { many } from "../client/format.js";
import { catchUp } from "../client/recent_changes.js";
import { DeleteFolderDialog } from "../parts/delete_folder_dialog.js";
import {
  Button,
  ButtonLink,
  html,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "../parts/elements.js";
import { ImageGrid } from "../parts/image_grid.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { say } from "../parts/notices.js";
import { Empty, Loading } from "../parts/placeholders.js";

const PAGE = 24;
const FOLDERS = "folders";
const TRIES = 4; // readings of a list until it agrees with its folder's count
const AHEAD = "800px"; // how far below the screen the next page is read already

export function View({ api, signal, query }) {
  const [filters, setFilters] = useState({
    folder: query.get("folder") ?? "",
    topic: query.get("topic") ?? "",
  });
  const list = usePagedList(async (cursor, until) => {
    const page = await api.images({ ...filters, cursor, limit: PAGE }, until);
    return { items: page.images, cursor: page.cursor };
  }, signal, ({ items, cursor }) => {
    const page = catchUp({ images: items, cursor }, filters);
    return { items: page.images, cursor };
  });
  const folders = useFolders(api, signal, filters, list);
  useRestart(list, filters);

  return html`
    <div class="heading"><h1 tabindex="-1">Gallery</h1></div>
    <div class="bar">
      <${Filters}
        filters=${filters} onchange=${setFilters} folders=${folders} api=${api} signal=${signal}
      />
      <${Tools} folders=${folders} folder=${filters.folder} api=${api} />
    </div>
    <${Wall} list=${list} api=${api}>
      <${NothingFound} filters=${filters} onclear=${() => setFilters({ folder: "", topic: "" })} />
    <//>
  `;
}

/** Reads the list from its beginning when the filters change, and puts them into the address. */
function useRestart(list, filters) {
  const isFirst = useRef(true);
  useLayoutEffect(() => {
    if (isFirst.current) return void (isFirst.current = false);
    showFilters("gallery", Object.entries(filters).filter(([, value]) => value));
    list.restart();
  }, [filters]);
}

/** Returns the folders, read again whenever images are deleted or restored. */
function useFolders(api, signal, filters, list) {
  // Without the earlier folders, the bar would grow and move the images that Back has shown again.
  const [folders, setFolders] = useState(() => recall(FOLDERS) ?? []);
  const latest = useRef();
  latest.current = { ...filters, folders };

  async function read() {
    const { folder: shown, folders: before } = latest.current;
    const { folders: now } = await api.folders(signal);
    setFolders(now);
    if (!signal.aborted) keep(FOLDERS, now);
    return shown && countOf(now, shown) !== countOf(before, shown) ? countOf(now, shown) : null;
  }
  /** The grid follows a single image by itself, but not a whole folder, which it may get late. */
  async function refresh() {
    const count = await read();
    const differs = () => count !== null && count !== list.items.length && !list.cursor;
    const most = latest.current.topic ? 1 : TRIES; // the images of one topic may be fewer
    for (let tries = 0; differs() && tries < most; tries += 1) {
      if (tries) await sleep(tries / 2, list.signal);
      await list.restart();
    }
  }
  useEffect(() => {
    // The filters are a help: without them the images still show.
    read().catch(() => {});
    addEventListener("easel:pictures", () => refresh().catch(() => {}), { signal });
  }, []);
  return folders;
}

const countOf = (folders, name) => folders.find((folder) => folder.name === name)?.count ?? 0;

function Filters({ filters, onchange, folders, api, signal }) {
  const [topics, setTopics] = useState([]);
  useEffect(() => {
    const read = async () => setTopics((await api.estimate({}, signal)).request.topics);
    read().catch(() => {}); // the topics only help to type one
  }, []);
  const names = folders.filter(({ count }) => count > 0);
  if (filters.folder && !names.some(({ name }) => name === filters.folder))
    names.push({ name: filters.folder, count: 0 });
  const option = ({ name, count }) => html`
    <option key=${name} value=${name} selected=${name === filters.folder}>
      ${name} (${count})
    </option>
  `;
  return html`
    <search class="filters">
      <div class="field">
        <label for="by-folder">Folder</label>
        <select
          id="by-folder"
          onchange=${(event) => onchange({ ...filters, folder: event.target.value })}
        >
          <option value="" selected=${!filters.folder}>All folders</option>
          ${names.map(option)}
        </select>
      </div>
      <div class="field">
        <label for="by-topic">Topic</label>
        <${TopicFilter}
          topic=${filters.topic} onchange=${(topic) => onchange({ ...filters, topic })}
        />
        <datalist id="topics">${topics.map((name) => html`<option value=${name} />`)}</datalist>
      </div>
    </search>
  `;
}

/** Keeps what is typed until the browser reports it as a change. */
function TopicFilter({ topic, onchange }) {
  const [typed, setTyped] = useState(topic);
  useLayoutEffect(() => setTyped(topic), [topic]);
  return html`
    <input
      type="search"
      id="by-topic"
      dir="auto"
      list="topics"
      placeholder="All topics"
      autocomplete="off"
      value=${typed}
      oninput=${(event) => setTyped(event.target.value)}
      onchange=${(event) => onchange(event.target.value.trim())}
    />
  `;
}

function Tools({ folders, folder, api }) {
  const [isAsking, setAsking] = useState(false);
  const dialog = html`
    <${DeleteFolderDialog}
      name=${folder} folders=${folders} api=${api} onclose=${() => setAsking(false)}
    />
  `;
  return html`
    <div class="tools">
      <${ButtonLink} href="#deleted" class="quiet" icon="bin">Recently deleted<//>
      ${countOf(folders, folder) > 0 &&
      html`
        <${Button} onclick=${() => setAsking(true)} class="quiet danger" icon="cross">
          Delete this folder
        <//>
      `}
      ${isAsking && dialog}
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
function Wall({ list, api, children }) {
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
          loading="Loading pictures…"
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

function NothingFound({ filters: { folder, topic }, onclear }) {
  const make = html`<${ButtonLink} href="#make">Make a picture<//>`;
  if (!folder && !topic)
    return html`
      <${Empty} title="No pictures yet" text="Pictures that you make appear here.">${make}<//>
    `;
  const filters = [topic && `for “${topic}”`, folder && `in the folder “${folder}”`];
  const title = ["No pictures found", ...filters.filter(Boolean)].join(" ");
  function clear() {
    onclear();
    document.getElementById("by-folder").focus();
  }
  return html`
    <${Empty} title=${title} text="Try another topic or folder.">
      <${Button} onclick=${clear}>Show all pictures<//>
      ${make}
    <//>
  `;
}
