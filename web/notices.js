/** Tells people what happened: a line for screen readers, and notes on the screen that can be acted on. */

import { el, button } from "./dom.js";

/** Has a screen reader say it, after what it is saying. */
export function say(text) {
  const line = document.getElementById("said");
  line.textContent = "";
  // The same text twice is no change, and would not be said.
  setTimeout(() => (line.textContent = text), 50);
}

/** Tells the view that is open now that pictures went or came back. */
export const picturesMoved = () => dispatchEvent(new Event("easel:pictures"));

/** A note with at most one action. `focusAfter()` gives the element that the focus goes to when the note leaves with it. */
export function note(text, { action, onaction, seconds = 10, focus = false, focusAfter, failed = false } = {}) {
  const place = document.getElementById("notes");
  const act = action && button(action, () => (close(), onaction()), { class: "quiet" });
  const dismiss = button("Dismiss", () => close(), { class: "quiet", icon: "cross" });
  const item = el("div", { class: failed ? "note failed" : "note" }, el("p", {}, text), el("div", { class: "row" }, act, dismiss));
  let timer;
  const arm = () => (timer = setTimeout(close, seconds * 1000));
  function close() {
    clearTimeout(timer);
    const held = item.contains(document.activeElement);
    item.remove();
    if (held) (focusAfter?.() ?? document.getElementById("main")).focus();
  }
  item.addEventListener("pointerenter", () => clearTimeout(timer));
  item.addEventListener("pointerleave", () => (clearTimeout(timer), arm()));
  item.addEventListener("focusin", () => clearTimeout(timer));
  item.addEventListener("focusout", () => (clearTimeout(timer), arm()));
  place.append(item);
  while (place.children.length > 3 && !place.firstChild.contains(document.activeElement)) place.firstChild.remove();
  arm();
  say(action ? `${text} ${action} is possible.` : text);
  if (focus) (act ?? dismiss).focus();
  return close;
}
