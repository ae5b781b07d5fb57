/** A grid of images of any shape. Each is a button that opens it in the lightbox. */

import { hideImage, openImage } from "../client/address.js";
import { explain } from "../client/api.js";
import { referenceTo } from "../client/drafts.js";
import { Icon, html, useEffect, useLayoutEffect, useRef, useState } from "./elements.js";
import { note } from "./notices.js";
import { useMarks } from "./shown_marks.js";

/** The type of the data of a dragged tile: an image as a reference in the form's draft. */
export const DRAGGED = "application/x-easel-image";

/**
 * Shows the images, then `children`.
 *
 * `link` names the link that a tile loads: its thumbnail or its picture.
 * `onnearend` loads more while someone leafs through the lightbox, and resolves to all images.
 * `onremove(image)` and `onputback(image)` are called on a delete and its undo.
 * While `selection` is on, a tile selects its image and does not open it.
 */
export function ImageGrid({
  images, api, signal, link = "thumbnail", tilesRef, onnearend, onremove, onputback, selection,
  children,
}) {
  useMarks(images);
  const { tiles, onDeleted, onRestored } = useTiles({ images, signal, onremove, onputback });
  const [opening, setOpening] = useState(null); // the id of the image that is being opened
  const latest = useRef({});
  Object.assign(latest.current, { images, onnearend });
  const { current } = latest;

  async function open(image) {
    if (current.isOpening || current.box) return;
    current.isOpening = true;
    setOpening(image.id);
    try {
      const { openLightbox } = await import("./lightbox.js");
      const known = current.images.some(({ id }) => id === image.id);
      current.box = await openLightbox({
        api,
        signal,
        images: known ? current.images : [image],
        index: known ? current.images.findIndex(({ id }) => id === image.id) : 0,
        tileOf: (id) => tiles.get(id),
        onNearEnd: known ? current.onnearend : undefined,
        onClosed: () => (current.box = null),
        onDeleted,
        onRestored,
      });
    } catch {
      hideImage();
      const problem = "The picture cannot be opened. Check your connection and try again.";
      if (!signal.aborted) note(problem, { failed: true });
    } finally {
      current.isOpening = false;
      setOpening(null);
    }
    if (current.box) followAddress(); // Back may have been pressed meanwhile
  }

  /** Opens the image that the address names, or closes the one that it no longer names. */
  async function followAddress() {
    const id = openImage();
    if (current.isOpening || id === (current.box?.shownId ?? null)) return;
    if (current.box) return current.box.close(id && followAddress); // Back may lead to another one
    try {
      const image = current.images.find((other) => other.id === id) ?? (await api.image(id, signal));
      if (image.links) return await open(image);
      note("This picture was deleted. Restore it under Recently deleted.", { failed: true });
    } catch (error) {
      if (signal.aborted) return;
      note(`The picture cannot be opened. ${explain(error)}`, { failed: true });
    }
    hideImage();
  }
  useEffect(() => {
    addEventListener("easel:image", followAddress, { signal });
    followAddress();
  }, []);

  async function star(image) {
    const { mark } = await import("./mark_buttons.js");
    mark(api, image, { favourite: !image.favourite });
  }

  function tileFor(image) {
    const keep = (button) => (button ? tiles.set(image.id, button) : tiles.delete(image.id));
    const read = async () => (await api.image(image.id, signal)).links;
    const pick = ({ shiftKey }) => selection.toggle(image, images, { toThere: shiftKey });
    return html`
      <${Tile}
        key=${image.id} image=${image} link=${link} buttonRef=${keep} readLinks=${read}
        isOpening=${opening === image.id} onopen=${selection?.isOn ? pick : () => open(image)}
        isSelected=${selection?.isOn ? selection.has(image) : null}
        onstar=${() => star(image)}
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

/**
 * One image. It keeps its first link, since each API response signs another one.
 *
 * `isSelected` is null while nothing is selected.
 */
function Tile({ image, link, buttonRef, readLinks, isOpening, onopen, isSelected, onstar }) {
  const [source, setSource] = useState(sourceOf(image, link));
  const [state, setState] = useState("");
  const hasNewLink = useRef(false);

  async function renewLink() {
    if (hasNewLink.current) return setState("missing");
    hasNewLink.current = true; // the link has probably expired; one more try finds out
    try {
      image.links = await readLinks();
      setSource(sourceOf(image, link));
    } catch {
      setState("missing");
    }
  }

  useEffect(() => {
    if (!image.links) renewLink(); // it has moved
  }, []);
  const drag = ({ dataTransfer }) =>
    dataTransfer.setData(DRAGGED, JSON.stringify(referenceTo(image)));
  return html`
    <li
      class=${[state, image.hidden && "rejected"].filter(Boolean).join(" ") || null}
      style=${{ "--ratio": ratioOf(image) }}
    >
      <button
        type="button"
        class=${isOpening ? "opening" : null}
        aria-busy=${isOpening ? "true" : null}
        role=${isSelected === null ? null : "checkbox"}
        aria-checked=${isSelected === null ? null : String(isSelected)}
        ref=${buttonRef}
        onclick=${onopen}
        ondragstart=${drag}
      >
        <img
          loading="lazy"
          decoding="async"
          width=${image.width}
          height=${image.height}
          alt=${image.alt_text || image.title || "A picture"}
          onload=${() => setState("shown")}
          onerror=${renewLink}
          sizes=${source.srcset && shownWidth(image)}
          srcset=${source.srcset}
          src=${source.src}
        />
        ${image.title && html`<span class="caption" aria-hidden="true">${image.title}</span>`}
        ${image.hidden && html`<span class="label">Rejected</span>`}
        ${isSelected !== null && html`<span class="box"><${Icon} name="check" /></span>`}
      </button>
      ${image.favourite !== undefined &&
      isSelected === null &&
      html`
        <span class="corner">
          <button
            type="button"
            class="star"
            aria-label="Favourite"
            aria-pressed=${String(image.favourite)}
            title="Favourite"
            onclick=${onstar}
          >
            <${Icon} name="star" />
          </button>
        </span>
      `}
    </li>
  `;
}

/** Returns what a tile loads. The browser chooses a preview that is sharp on its screen. */
function sourceOf({ links }, link) {
  const previews = (link === "thumbnail" && links?.previews) || [];
  const srcset = previews.map(({ url, width }) => `${url} ${width}w`).join(", ");
  return { src: links?.[link], srcset: srcset || null };
}

/** Returns the tile's width for browsers that do not measure it. The height is the style sheet's. */
const shownWidth = (image) => `auto, calc(${ratioOf(image)} * clamp(8.5rem, 13vw, 15rem))`;

const ratioOf = ({ width, height }) =>
  width && height ? Math.min(3, Math.max(1 / 3, width / height)) : 1;
