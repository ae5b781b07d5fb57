/** The grid of pictures: rows that fit pictures of any shape, each a button that opens it large. */

import { el, fill } from "./dom.js";
import { note } from "./notices.js";

/** A grid that shows each image's thumbnail or picture. `onNearEnd` is asked for more while the pictures are leafed through; `onCount` hears how many are left after one went or came back. */
export function makeGrid({ api, signal, onNearEnd, onCount, show = "thumbnail" }) {
  let images = [];
  const tiles = new Map();
  const element = el("ul", { class: "tiles" });

  function tile(image) {
    const thumbnail = el("img", {
      src: image.links?.[show],
      alt: image.alt_text || image.title || "A picture",
      width: image.width,
      height: image.height,
      loading: "lazy",
      decoding: "async",
    });
    const opener = el(
      "button",
      { type: "button", on: { click: () => open(image) } },
      thumbnail,
      image.title && el("span", { class: "caption", "aria-hidden": "true" }, image.title),
    );
    const item = el("li", { vars: { ratio: ratio(image) } }, opener);
    let refreshed = false;
    thumbnail.addEventListener("error", async () => {
      if (refreshed) return item.classList.add("missing");
      refreshed = true; // most likely its link is over; once is enough to find out
      try {
        image.links = (await api.image(image.id, signal)).links;
        thumbnail.src = image.links[show];
      } catch {
        item.classList.add("missing");
      }
    });
    thumbnail.addEventListener("load", () => item.classList.add("shown"));
    tiles.set(image.id, { image, item });
    return item;
  }

  const tileOf = (id) => tiles.get(id)?.item.firstChild;

  async function open(image) {
    try {
      const { openLightbox } = await import("./lightbox.js");
      await openLightbox({
        api,
        signal,
        images,
        index: images.indexOf(image),
        tileOf,
        onNearEnd,
        onDeleted: remove,
        onRestored: putBack,
      });
    } catch {
      note("The picture can't be opened now. Check your connection and try again.", { failed: true });
    }
  }

  function remove(image) {
    const index = images.indexOf(image);
    if (index < 0) return null;
    images.splice(index, 1);
    tiles.get(image.id).item.remove();
    onCount?.(images.length);
    return tileOf((images[index] ?? images[index - 1])?.id);
  }

  function putBack(image) {
    if (!signal.aborted && !images.includes(image)) {
      const index = images.findIndex((other) => other.stored_at < image.stored_at);
      images.splice(index < 0 ? images.length : index, 0, image);
      element.insertBefore(tiles.get(image.id).item, index < 0 ? null : tiles.get(images[index + 1].id).item);
      onCount?.(images.length);
      tileOf(image.id).focus();
    }
  }

  return {
    element,
    get images() {
      return images;
    },
    /** Hangs more pictures at the end. */
    add(more) {
      const fresh = more.filter((image) => !tiles.has(image.id));
      images.push(...fresh);
      element.append(...fresh.map(tile));
    },
    /** Hangs these pictures alone, in their order, and `others` behind them. One that hangs already stays as it is: it is not loaded again. */
    hang(wanted, others) {
      for (const image of wanted.filter(({ id }) => !tiles.has(id))) tile(image);
      const now = wanted.map(({ id }) => tiles.get(id));
      images = now.map(({ image }) => image); // another list: an open lightbox leafs through the one it began with
      const focused = element.contains(document.activeElement) && document.activeElement;
      fill(
        element,
        now.map(({ item }) => item),
        others,
      );
      if (focused) (focused.isConnected ? focused : element.querySelector("button"))?.focus();
    },
  };
}

const ratio = ({ width, height }) => (width && height ? Math.min(3, Math.max(1 / 3, width / height)) : 1);
