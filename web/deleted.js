/** The view of what was deleted and can be had back. */

import { button, el, fill, icon, set } from "./dom.js";
import { bringBack } from "./folder_removal.js";
import { day, daysUntil, many, when } from "./format.js";
import { note } from "./notices.js";
import { restoreImage } from "./removal.js";
import { empty, failed, loading } from "./states.js";

/** Shows the view. */
export async function show(main, { api, signal }) {
  const list = el("ul", { class: "rows" });
  const folders = el("div");
  const end = el("div", { class: "end" });
  let cursor = null;
  let listed = [];
  let busy = false;

  async function more() {
    fill(end, loading("Getting what was deleted…"));
    try {
      const page = await api.images({ status: "deleted", cursor, limit: 50 }, signal);
      cursor = page.cursor;
      const rows = page.images.map(row);
      list.append(...rows);
      listed.push(...page.images);
      drawFolders();
      fill(end, cursor && button("More", async () => (await more())?.focus(), { class: "secondary" }));
      drawEmpty();
      return rows[0]?.querySelector("button");
    } catch (error) {
      if (!signal.aborted) fill(end, failed(error, more));
    }
  }

  function drawEmpty() {
    if (!list.children.length && !cursor)
      fill(
        end,
        empty(
          "Nothing was deleted",
          "What you delete stays here for a while.",
          el("a", { href: "#gallery", role: "button" }, "Back to the gallery"),
        ),
      );
  }

  function row(image) {
    const name = image.title || "Untitled";
    const days = image.recoverable_until ? daysUntil(image.recoverable_until) : null;
    const restore = button("Restore", () => bring(image, item, restore), {
      icon: "back",
      class: "secondary",
      "aria-label": `Restore ${name}`,
    });
    const item = el(
      "li",
      {},
      el("span", { class: "shape", "aria-hidden": "true", vars: { ratio: image.width && image.height ? image.width / image.height : 1 } }),
      el(
        "div",
        { class: "main" },
        el("strong", {}, name),
        el("small", {}, [image.folder, image.topic, image.model].filter(Boolean).join(" · ")),
      ),
      el(
        "span",
        { class: "facts" },
        el("span", {}, `Deleted ${when(image.deleted_at)}`),
        days != null &&
          el(
            "span",
            { class: days < 3 ? "wrong" : null },
            days > 0 ? `${many(days, "day")} left, until ${day(image.recoverable_until)}` : `Until today, ${when(image.recoverable_until)}`,
          ),
      ),
      restore,
    );
    return item;
  }

  async function bring(image, item, restore) {
    if (restore.getAttribute("aria-disabled")) return;
    set(restore, "aria-disabled", "true");
    restore.lastChild.textContent = "Restoring…";
    busy = true;
    try {
      await restoreImage(api, image);
      const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("button");
      const held = item.contains(document.activeElement);
      item.remove();
      listed = listed.filter(({ id }) => id !== image.id);
      drawFolders();
      drawEmpty();
      if (held) (next ?? main.querySelector("h1")).focus();
      note(`“${image.title || "The picture"}” is back in the gallery.`);
    } catch (error) {
      set(restore, "aria-disabled", null);
      restore.lastChild.textContent = "Restore";
      note(`It could not be brought back. ${error.message} ${error.whatToDo ?? ""}`, { failed: true, seconds: 20 });
    } finally {
      busy = false;
    }
  }

  /** Folders of which several pictures are listed, for whom one by one would be tedious. */
  function drawFolders() {
    const count = Map.groupBy(listed, ({ folder }) => folder);
    const names = [...count.keys()].filter((name) => count.get(name).length > 1);
    const restore = (name) => el("li", {}, button(`Restore ${name}`, () => bringBack(name, api), { icon: "back", class: "secondary" }));
    fill(folders, names.length > 0 && el("section", { class: "folders", "aria-labelledby": "whole" }, el("h2", { id: "whole" }, "Whole folders"), el("ul", { class: "chips-row" }, names.map(restore))));
  }

  async function again() {
    if (busy) return; // this view's own restore takes its row away by itself
    fill(list);
    cursor = null;
    listed = [];
    await more();
  }

  addEventListener("easel:pictures", again, { signal });
  fill(
    main,
    el("div", { class: "heading" }, el("h1", { tabindex: -1 }, "Recently deleted"), el("a", { href: "#gallery" }, icon("back"), "Gallery")),
    folders,
    list,
    end,
  );
  await more();
}
