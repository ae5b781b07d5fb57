/** One picture large: PhotoSwipe with zoom, keys and swipes, and beside it all that is known about the picture. */

import PhotoSwipe from "./vendor/photoswipe-5.4.4/photoswipe.esm.min.js";
import { el } from "./dom.js";
import { makePanel } from "./panel.js";
import { removeImage } from "./removal.js";

const SOON_MS = 2 * 60_000;
const WIDE = 900;
const PANEL = 380;

let styled = null;

/** Opens the picture at `index`; the focus comes back to the tile of the picture that was last looked at. */
export async function openLightbox({ api, signal, images, index, tileOf, onNearEnd, onDeleted, onRestored }) {
  await Promise.all([style(), refresh(api, images[index]).catch(() => {})]);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const items = () => images.map((image) => item(image, tileOf));
  let panel;
  let then = null; // what follows once the lightbox is gone; else the focus goes to the picture's tile

  const pswp = new PhotoSwipe({
    dataSource: items(),
    index,
    loop: false,
    bgOpacity: 1,
    wheelToZoom: true,
    returnFocus: false,
    mainClass: "lightbox",
    closeTitle: "Close (Esc)",
    zoomTitle: "Zoom (z)",
    arrowPrevTitle: "Previous picture",
    arrowNextTitle: "Next picture",
    errorMsg: "The picture can't be loaded.",
    showHideAnimationType: still ? "none" : "zoom",
    ...(still && { zoomAnimationDuration: false, showAnimationDuration: 0, hideAnimationDuration: 0 }),
    paddingFn: ({ x }) => (x >= WIDE ? { top: 60, bottom: 24, left: 24, right: PANEL + 24 } : { top: 60, bottom: 76, left: 0, right: 0 }),
  });

  pswp.on("uiRegister", () => {
    pswp.ui.registerElement({
      name: "panel",
      appendTo: "root",
      tagName: "aside",
      onInit(element) {
        panel = makePanel(element, { api, close: leaveTo, remove });
      },
    });
  });
  pswp.on("change", async () => {
    const image = images[pswp.currIndex];
    panel?.show(image);
    if (pswp.currIndex >= images.length - 4 && onNearEnd) {
      await onNearEnd();
      pswp.options.dataSource = items();
    }
    for (const index of [pswp.currIndex, pswp.currIndex + 1, pswp.currIndex - 1]) await renew(index);
  });
  pswp.on("afterInit", () => {
    pswp.element.setAttribute("aria-modal", "true");
    pswp.element.setAttribute("aria-label", "Picture");
    panel.show(images[pswp.currIndex]);
  });
  // The arrow keys move within what has the focus in the panel; left and right still leaf.
  pswp.on("keydown", (event) => {
    const { key, target } = event.originalEvent;
    if ((key === "ArrowUp" || key === "ArrowDown") && target.closest?.("aside")) event.preventDefault();
  });
  pswp.on("destroy", () => (then ? then() : tileOf(images[pswp.currIndex]?.id)?.focus()));
  signal.addEventListener("abort", () => pswp.close()); // the browser's Back leaves the view below
  pswp.init();

  /** Gets new links for a picture whose old ones are nearly over, before PhotoSwipe needs them. */
  async function renew(index) {
    if (!images[index] || !(await refresh(api, images[index]).catch(() => false)) || pswp.isDestroying) return;
    pswp.options.dataSource = items();
    pswp.refreshSlideContent(index);
  }

  function leaveTo(go) {
    then = go;
    // While it still opens, PhotoSwipe does not hear of closing.
    if (pswp.opener.isOpen) pswp.close();
    else pswp.on("openingAnimationEnd", () => pswp.close());
  }

  function remove(image) {
    // It would fly back to a tile that is about to go: fade instead.
    pswp.options.showHideAnimationType = still ? "none" : "fade";
    leaveTo(() => removeImage(api, image, { onDeleted, onRestored }));
  }
}

async function refresh(api, image) {
  if (image.links && new Date(image.links.expires_at) - Date.now() > SOON_MS) return false;
  image.links = (await api.image(image.id)).links;
  return true;
}

function item(image, tileOf) {
  return {
    src: image.links?.picture,
    msrc: image.links?.thumbnail,
    width: image.width || 1024,
    height: image.height || 1024,
    alt: image.alt_text || image.title || "",
    element: tileOf(image.id),
  };
}

function style() {
  styled ??= new Promise((resolve, reject) => {
    const href = "web/vendor/photoswipe-5.4.4/photoswipe.css";
    // Before the page's own style sheet, which has the last word.
    document.head
      .querySelector("link[rel=stylesheet]")
      .before(el("link", { rel: "stylesheet", href, on: { load: resolve, error: () => ((styled = null), reject(new Error(href))) } }));
  });
  return styled;
}
