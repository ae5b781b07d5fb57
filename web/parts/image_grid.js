/** A grid of images of any shape. Each is a button that opens it in the lightbox. */

import { html, useLayoutEffect, useRef, useState } from "./elements.js";
import { note } from "./notices.js";

/**
 * Shows the images, then `children`.
 *
 * `link` names the link that a tile loads: its thumbnail or its picture.
 * `onnearend` loads more while someone leafs through the lightbox, and resolves to all images.
 * `onremove(image)` and `onputback(image)` are called on a delete and its undo.
 */
export function ImageGrid({
  images, api, signal, link = "thumbnail", tilesRef, onnearend, onremove, onputback, children,
}) {
  const { tiles, onDeleted, onRestored } = useTiles({ images, signal, onremove, onputback });

  async function open(image) {
    try {
      const { openLightbox } = await import("./lightbox.js");
      const index = images.indexOf(image);
      const tileOf = (id) => tiles.get(id);
      await openLightbox({
        api, signal, images, index, tileOf, onNearEnd: onnearend, onDeleted, onRestored,
      });
    } catch {
      const problem = "The picture cannot be opened. Check your connection and try again.";
      note(problem, { failed: true });
    }
  }

  function tileFor(image) {
    const keep = (button) => (button ? tiles.set(image.id, button) : tiles.delete(image.id));
    const read = async () => (await api.image(image.id, signal)).links;
    return html`
      <${Tile}
        key=${image.id} image=${image} link=${link} buttonRef=${keep} readLinks=${read}
        onopen=${() => open(image)}
      />
    `;
  }
  return html`<ul class="tiles" ref=${tilesRef}>${images.map(tileFor)}${children}</ul>`;
}

/** Keeps each image's button by the image's id, and moves the focus on a delete and its undo. */
function useTiles({ images, signal, onremove, onputback }) {
  const tiles = useRef(new Map()).current;
  const toFocus = useRef(null); // the id of the image that gets the focus once it is back
  const latest = useRef(images); // an open lightbox outlives the drawing that opened it
  latest.current = images;
  useLayoutEffect(() => {
    const tile = tiles.get(toFocus.current);
    if (!tile) return;
    tile.focus();
    toFocus.current = null;
  });

  /** Takes the image off, and returns a function that finds the tile to focus instead. */
  function onDeleted(image) {
    const index = latest.current.findIndex(({ id }) => id === image.id);
    const next = latest.current[index + 1] ?? latest.current[index - 1];
    onremove(image);
    return () => tiles.get(next?.id);
  }

  function onRestored(image) {
    if (signal.aborted) return;
    toFocus.current = image.id;
    onputback(image);
  }

  return { tiles, onDeleted, onRestored };
}

/** One image. It keeps its first link, since each API response signs another one. */
function Tile({ image, link, buttonRef, readLinks, onopen }) {
  const [source, setSource] = useState(image.links?.[link]);
  const [state, setState] = useState("");
  const hasNewLink = useRef(false);

  async function renewLink() {
    if (hasNewLink.current) return setState("missing");
    hasNewLink.current = true; // the link has probably expired; one more try finds out
    try {
      image.links = await readLinks();
      setSource(image.links[link]);
    } catch {
      setState("missing");
    }
  }

  return html`
    <li class=${state || null} style=${{ "--ratio": ratioOf(image) }}>
      <button type="button" ref=${buttonRef} onclick=${onopen}>
        <img
          loading="lazy"
          decoding="async"
          width=${image.width}
          height=${image.height}
          alt=${image.alt_text || image.title || "A picture"}
          onload=${() => setState("shown")}
          onerror=${renewLink}
          src=${source}
        />
        ${image.title && html`<span class="caption" aria-hidden="true">${image.title}</span>`}
      </button>
    </li>
  `;
}

const ratioOf = ({ width, height }) =>
  width && height ? Math.min(3, Math.max(1 / 3, width / height)) : 1;
