/** What is known about the picture in the lightbox, and what can be done with it. */

import { button, el, fill, icon, set } from "./dom.js";
import { againWith } from "./draft.js";
import { bytes, money, when } from "./format.js";

const SOON_MS = 10_000;

/** Fills the lightbox's panel. `close(go)` leaves the lightbox and then goes; `remove(image)` deletes. */
export function makePanel(element, { api, close, remove }) {
  const title = el("h2");
  const body = el("div", { class: "body", tabindex: 0, role: "region", "aria-label": "About the picture" });
  const said = el("p", { class: "unseen", role: "status" });
  const toggle = button("Details", () => open(!element.classList.contains("open")), {
    class: "quiet toggle",
    icon: "info",
    "aria-expanded": "false",
  });
  const wholes = new Map(); // the images as GET images/{id} has them, or their promises
  let current = null;

  element.dataset.theme = "dark";
  set(element, "aria-label", "About the picture");
  // PhotoSwipe would take the wheel for zooming.
  element.addEventListener("wheel", (event) => event.stopPropagation());
  element.append(el("header", {}, title, toggle), body, said);

  function open(wanted) {
    element.classList.toggle("open", wanted);
    set(toggle, "aria-expanded", String(wanted));
  }

  async function show(image) {
    if (current === image) return;
    current = image;
    title.textContent = image.title || "Untitled";
    draw(image);
    try {
      const all = await whole(image);
      if (current === image) draw(all);
    } catch {
      // What the list said stays; the prompt may be cut.
    }
  }

  /** The list cuts long prompts; a copy must not. */
  function whole({ id }) {
    if (!wholes.has(id))
      wholes.set(
        id,
        api.image(id).catch((error) => (wholes.delete(id), Promise.reject(error))),
      );
    return wholes.get(id);
  }

  function draw(image) {
    body.scrollTop = 0;
    const facts = [
      ["Model", [image.model, image.quality && `${image.quality} quality`].filter(Boolean).join(", ")],
      ["Cost", money(image.cost_usd)],
      ["Topic", image.topic && link(`#gallery?${new URLSearchParams({ topic: image.topic })}`, image.topic)],
      ["Folder", image.folder && link(`#gallery?${new URLSearchParams({ folder: image.folder })}`, image.folder)],
      ["Style", image.style],
      ["Size", [image.width && `${image.width} × ${image.height}`, image.bytes && bytes(image.bytes)].filter(Boolean).join(", ")],
      ["Made", image.stored_at && when(image.stored_at)],
      [
        "Run",
        image.run_url && link(`#run/${encodeURIComponent(decodeURIComponent(image.run_url.split("/").pop()))}`, "Watch how it was made"),
      ],
    ];
    fill(
      body,
      el(
        "div",
        { class: "actions" },
        button("Copy prompt", () => copy(image), { icon: "copy", class: "secondary" }),
        image.links &&
          el(
            "a",
            {
              href: image.links.download,
              role: "button",
              class: "secondary",
              download: true,
              on: { click: (event) => download(event, image) },
            },
            icon("down"),
            el("span", {}, "Download"),
          ),
        button("Again with this prompt", () => again(image), { icon: "again", class: "secondary whole" }),
        button("Delete", () => remove(current), { icon: "bin", class: "secondary danger whole" }),
      ),
      image.prompt && el("section", {}, el("h3", {}, "Prompt"), el("p", { class: "prompt" }, image.prompt, image.prompt_cut && "…")),
      el(
        "dl",
        {},
        facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
      ),
    );
  }

  function link(hash, words) {
    return el("a", { href: hash, on: { click: (event) => (event.preventDefault(), close(() => (location.hash = hash))) } }, words);
  }

  async function again(image) {
    try {
      const all = await whole(image);
      close(() => againWith(all));
    } catch (error) {
      body.prepend(el("p", { class: "wrong", role: "alert" }, error.message));
    }
  }

  async function download(event, image) {
    if (new Date(image.links.expires_at) - Date.now() > SOON_MS) return;
    event.preventDefault();
    image.links = (await api.image(image.id)).links;
    location.assign(image.links.download);
  }

  async function copy(image) {
    let words = "Prompt copied";
    try {
      await navigator.clipboard.writeText((await whole(image)).prompt);
    } catch {
      words = "It could not be copied";
    }
    said.textContent = words;
    const label = body.querySelector("button span");
    label.textContent = words;
    setTimeout(() => ((said.textContent = ""), (label.textContent = "Copy prompt")), 3000);
  }

  return { show };
}
