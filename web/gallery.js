/** The view of all pictures, newest first, endless, by folder and topic. */

import { button, el, fill, icon } from "./dom.js";
import { many } from "./format.js";
import { say } from "./notices.js";
import { empty, failed, loading } from "./states.js";
import { makeGrid } from "./tiles.js";

/** Shows the view. */
export async function show(main, { api, signal, query }) {
  const folder = el("select", { id: "by-folder" }, el("option", { value: "" }, "All folders"));
  const topic = el("input", { type: "search", id: "by-topic", list: "topics", placeholder: "All topics", autocomplete: "off" });
  const topics = el("datalist", { id: "topics" });
  const tools = el("div", { class: "tools" });
  const place = el("div", { class: "wall" });
  const end = el("div", { class: "end" });
  let folders = [];
  let listing = new AbortController();
  let grid, cursor, busy;

  const chosen = () => ({ folder: folder.value, topic: topic.value.trim() });

  /** Begins anew with the filters as they are. */
  async function list() {
    listing.abort();
    listing = new AbortController();
    const both = AbortSignal.any([signal, listing.signal]);
    grid = makeGrid({ api, signal: both, onNearEnd: () => more(), onCount: (count) => cursor || (count ? fill(end) : drawEmpty()) });
    cursor = null;
    busy = false;
    drawTools();
    // Where the grid will be, so that nothing on the page moves when it comes.
    fill(place, loading("Getting pictures…"));
    fill(end);
    await more(both);
  }

  async function more(both = AbortSignal.any([signal, listing.signal])) {
    if (busy) return;
    busy = true;
    const known = grid.images.length;
    if (known) fill(end, loading("Getting pictures…"));
    try {
      const page = await api.images({ ...chosen(), cursor, limit: 24 }, both);
      if (both.aborted) return;
      cursor = page.cursor;
      grid.add(page.images);
      if (!known) fill(place, grid.element);
      fill(end, cursor && button("More pictures", more24, { class: "secondary" }));
      if (!grid.images.length && !cursor) drawEmpty();
      else if (known) say(`${many(grid.images.length - known, "more picture")}.`);
      watcher.unobserve(end);
      if (cursor) watcher.observe(end); // anew, since it may still be in sight and would not be told
    } catch (error) {
      if (both.aborted) return;
      if (!known) fill(place);
      fill(
        end,
        failed(error, () => more()),
      );
    } finally {
      if (!both.aborted) busy = false;
    }
  }

  async function more24() {
    const next = grid.images.length;
    await more();
    grid.element.children[next]?.firstChild.focus();
  }

  function drawEmpty() {
    const { folder: inFolder, topic: about } = chosen();
    const make = el("a", { href: "#make", role: "button" }, "Make a picture");
    if (!inFolder && !about) fill(end, empty("No pictures yet", "What you make hangs here.", make));
    else
      fill(
        end,
        empty(
          "No picture fits",
          [inFolder && `in the folder ${inFolder}`, about && `on the topic ${about}`]
            .filter(Boolean)
            .join(" ")
            .replace(/^./, (letter) => letter.toUpperCase()),
          button("Show all pictures", clear),
          make,
        ),
      );
  }

  function clear() {
    folder.value = topic.value = "";
    filtered();
    folder.focus();
  }

  function filtered() {
    const wanted = Object.fromEntries(Object.entries(chosen()).filter(([, value]) => value));
    const said = new URLSearchParams(wanted).toString();
    history.replaceState(null, "", `#gallery${said && `?${said}`}`);
    list();
  }

  function drawTools() {
    const one = folders.find(({ name }) => name === folder.value);
    fill(
      tools,
      el("a", { href: "#deleted", role: "button", class: "quiet" }, icon("bin"), "Recently deleted"),
      one?.count > 0 &&
        button("Delete this folder", async () => (await import("./folder_removal.js")).askToDelete(one.name, { api, folders }), {
          class: "quiet danger",
          icon: "cross",
        }),
    );
  }

  /** Pictures went or came back: a whole folder, or one that the grid has taken off or put back by itself. */
  async function refresh() {
    const before = folders.find(({ name }) => name === folder.value)?.count ?? 0;
    await drawFolders();
    const now = folders.find(({ name }) => name === folder.value)?.count ?? 0;
    if (folder.value && now !== before && now !== grid.images.length && !cursor) await list();
    else drawTools();
  }

  async function drawFolders() {
    const wanted = folders.length ? folder.value : folder.value || query.get("folder") || "";
    folders = (await api.folders(signal)).folders;
    const names = folders.filter(({ count }) => count > 0);
    if (wanted && !names.some(({ name }) => name === wanted)) names.push({ name: wanted, count: 0 });
    fill(
      folder,
      el("option", { value: "" }, "All folders"),
      names.map(({ name, count }) => el("option", { value: name, selected: name === wanted }, `${name} (${count})`)),
    );
  }

  const watcher = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && cursor && more(), {
    rootMargin: "800px",
  });
  signal.addEventListener("abort", () => watcher.disconnect());
  addEventListener("easel:pictures", () => refresh().catch(() => {}), { signal });
  folder.addEventListener("change", filtered);
  topic.addEventListener("change", filtered);
  topic.value = query.get("topic") ?? "";

  const filters = el(
    "search",
    { class: "filters" },
    el("div", { class: "field" }, el("label", { for: "by-folder" }, "Folder"), folder),
    el("div", { class: "field" }, el("label", { for: "by-topic" }, "Topic"), topic, topics),
  );
  fill(
    main,
    el("div", { class: "heading" }, el("h1", { tabindex: -1 }, "Gallery")),
    el("div", { class: "bar" }, filters, tools),
    place,
    end,
  );
  // The filters are a help: without them the pictures still show.
  api.estimate({}, signal).then(
    ({ request }) =>
      fill(
        topics,
        request.topics.map((name) => el("option", { value: name })),
      ),
    () => {},
  );
  if (query.get("folder")) await drawFolders();
  else drawFolders().then(drawTools, () => {});
  await list();
}
