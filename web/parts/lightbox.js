/** One image large: PhotoSwipe with zoom, keys and swipes, and a panel with the image's details. */

import PhotoSwipe from "../vendor/photoswipe-5.4.4/photoswipe.esm.min.js";
import { hideImage, showImage } from "../client/address.js";
import { deleteImage } from "./deletes.js";
import { html, render } from "./elements.js";
import { ImageDetails } from "./image_details.js";
import { reject } from "./mark_buttons.js";
import { moveImages } from "./moves.js";

const STYLE = "web/vendor/photoswipe-5.4.4/photoswipe.css";
const RENEW_BEFORE_MS = 2 * 60_000; // links that expire sooner than this are renewed
const NEAR_END = 4; // images before the end at which more are read
const WIDE = 900; // the page width from which the panel is at the side
const PANEL = 380;

let styled = null;

/**
 * Opens the image at `index` of `images`, and puts it into the address.
 *
 * On closing, the focus returns to the tile of the image that was shown last. `tileOf(id)` finds
 * it, `onNearEnd()` reads more images and resolves to all of them, `onClosed()` is called at the
 * end, `onDeleted` and `onRestored` are the callbacks of `deleteImage`.
 */
export async function openLightbox({ api, signal, images, index, ...callbacks }) {
  await Promise.all([loadStyle(), renewLinks(api, images[index]).catch(() => {})]);
  signal.throwIfAborted();
  const box = new Lightbox({ api, images, index, ...callbacks });
  signal.addEventListener("abort", () => box.close()); // the browser's Back leaves the view
  box.pswp.init();
  return box;
}

class Lightbox {
  #wholeImages = new Map(); // the responses of GET images/{id}, or their promises
  #then = null; // runs once the lightbox is gone; if there is none, the tile gets the focus
  #isLeaving = false; // whether the address changes anyway

  constructor({ index, ...context }) {
    Object.assign(this, context); // api, images, tileOf and the callbacks
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pswp = new PhotoSwipe({ ...optionsFor(this.isStill), dataSource: this.#items(), index });
    this.pswp.on("uiRegister", () => this.#addPanel());
    this.pswp.on("change", () => this.#change());
    this.pswp.on("afterInit", () => {
      this.pswp.element.setAttribute("aria-modal", "true");
      this.pswp.element.setAttribute("aria-label", "Picture");
      this.#drawPanel();
    });
    this.pswp.on("keydown", keepKeysForPanel);
    this.pswp.on("destroy", () => this.#destroy());
  }

  get #image() {
    return this.images[this.pswp.currIndex];
  }

  /** The id of the image that is shown. */
  get shownId() {
    return this.#image?.id;
  }

  /** Closes it because the address no longer names its image. Then it calls `then`, if given. */
  close(then = null) {
    this.#then = then;
    this.#isLeaving = true;
    this.#close();
  }

  #items() {
    return this.images.map((image) => itemOf(image, this.tileOf));
  }

  #addPanel() {
    const onInit = (element) => {
      this.panel = element;
      element.dataset.theme = "dark";
      element.setAttribute("aria-label", "About the picture");
      // PhotoSwipe would use the wheel for zooming.
      element.addEventListener("wheel", (event) => event.stopPropagation());
    };
    this.pswp.ui.registerElement({ name: "panel", appendTo: "root", tagName: "aside", onInit });
  }

  #drawPanel() {
    if (!this.panel || !this.#image) return;
    const details = html`
      <${ImageDetails}
        image=${this.#image}
        panel=${this.panel}
        api=${this.api}
        readWhole=${(image) => this.#readWhole(image)}
        onleave=${(go) => this.#leave(go)}
        ondelete=${(image, uses) => this.#delete(image, uses)}
        onreject=${(image) => this.#closeFor(() => reject(this.api, image))}
        onmove=${(image, folder) => this.#closeFor(() => moveImages(this.api, [image], folder))}
      />
    `;
    render(details, this.panel);
  }

  /** A list cuts long prompts; a copy must not. */
  #readWhole({ id }) {
    if (!this.#wholeImages.has(id)) {
      const read = this.api.image(id);
      read.catch(() => this.#wholeImages.delete(id));
      this.#wholeImages.set(id, read);
    }
    return this.#wholeImages.get(id);
  }

  async #change() {
    this.#drawPanel();
    if (this.shownId) showImage(this.shownId);
    const { currIndex } = this.pswp;
    if (currIndex >= this.images.length - NEAR_END && this.onNearEnd) {
      const all = await this.onNearEnd();
      // The view's list may have restarted, and the image may be at another place.
      if (all[this.pswp.currIndex] === this.#image) this.images = all;
      this.pswp.options.dataSource = this.#items();
    }
    for (const index of [currIndex, currIndex + 1, currIndex - 1]) await this.#renew(index);
  }

  /** Gets new links for an image before PhotoSwipe needs them, if the old ones expire soon. */
  async #renew(index) {
    const image = this.images[index];
    if (!image || !(await renewLinks(this.api, image).catch(() => false))) return;
    if (this.pswp.isDestroying) return;
    this.pswp.options.dataSource = this.#items();
    this.pswp.refreshSlideContent(index);
  }

  /** Closes it and calls `go`, which leads to another address. Back opens the image again. */
  #leave(go) {
    this.#then = go;
    this.#isLeaving = true;
    this.#close();
  }

  #close() {
    // PhotoSwipe ignores close() while it still opens.
    if (this.pswp.opener.isOpen) this.pswp.close();
    else this.pswp.on("openingAnimationEnd", () => this.pswp.close());
  }

  #delete(image, uses) {
    const { onDeleted, onRestored } = this;
    this.#closeFor(() => deleteImage(this.api, image, { uses, onDeleted, onRestored }));
  }

  /** Closes it, and then calls `then`, after which the image may be gone. */
  #closeFor(then) {
    // It would fly back to a tile that is about to go, so it fades instead.
    this.pswp.options.showHideAnimationType = this.isStill ? "none" : "fade";
    this.#then = then;
    this.#close();
  }

  #destroy() {
    render(null, this.panel);
    this.onClosed();
    if (!this.#isLeaving) hideImage();
    if (this.#then) this.#then();
    else this.tileOf(this.#image?.id)?.focus();
  }
}

function optionsFor(isStill) {
  return {
    loop: false,
    bgOpacity: 1,
    wheelToZoom: true,
    returnFocus: false,
    mainClass: "lightbox",
    closeTitle: "Close (Esc)",
    zoomTitle: "Zoom (z)",
    arrowPrevTitle: "Previous picture",
    arrowNextTitle: "Next picture",
    errorMsg: "The picture cannot be loaded.",
    showHideAnimationType: isStill ? "none" : "zoom",
    ...(isStill && {
      zoomAnimationDuration: false,
      showAnimationDuration: 0,
      hideAnimationDuration: 0,
    }),
    paddingFn: ({ x }) =>
      x >= WIDE
        ? { top: 60, bottom: 24, left: 24, right: PANEL + 24 }
        : { top: 60, bottom: 76, left: 0, right: 0 },
  };
}

/**
 * Lets the up and down keys scroll the focused panel. Left and right still change the picture. An
 * open dialog has all keys, and a text field all but Esc.
 */
function keepKeysForPanel(event) {
  const { key, target } = event.originalEvent;
  if ((key === "ArrowUp" || key === "ArrowDown") && target.closest?.("aside"))
    event.preventDefault();
  if (target.closest?.("dialog") || (target.matches?.("input") && key !== "Escape"))
    event.preventDefault();
}

/** Renews an image's links if they expire soon, and returns whether it did. */
async function renewLinks(api, image) {
  const { links } = image;
  if (links && new Date(links.expires_at) - Date.now() > RENEW_BEFORE_MS) return false;
  image.links = (await api.image(image.id)).links;
  return true;
}

function itemOf(image, tileOf) {
  return {
    src: image.links?.picture,
    msrc: image.links?.thumbnail,
    width: image.width || 1024,
    height: image.height || 1024,
    alt: image.alt_text || image.title || "",
    element: tileOf(image.id),
  };
}

/** Loads PhotoSwipe's style sheet, before the page's own ones, which have the last word. */
function loadStyle() {
  styled ??= new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE });
    link.onload = resolve;
    link.onerror = () => {
      styled = null;
      reject(new Error(`${STYLE} cannot be loaded`));
    };
    document.head.querySelector("link[rel=stylesheet]").before(link);
  });
  return styled;
}
