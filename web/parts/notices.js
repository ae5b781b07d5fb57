/** Reports what happened: a line for screen readers, and notices on the screen with an action. */

import { Button, html, render, useLayoutEffect, useRef } from "./elements.js";

const MOST = 3; // notices on the screen at once

let notices = [];
let count = 0;

/** Has a screen reader read it out, after what it is reading. */
export function say(text) {
  const line = document.getElementById("announcement");
  line.textContent = "";
  // Setting the same text again would not be read out.
  setTimeout(() => (line.textContent = text), 50);
}

/** Notifies the current view that images were deleted or restored. */
export const announceImagesChanged = () => dispatchEvent(new Event("easel:pictures"));

/**
 * Shows a notice with at most one action, and returns a function that closes it.
 *
 * `focusAfter()` returns the element that gets the focus if the notice has it when it closes.
 */
export function note(text, options = {}) {
  const notice = { id: ++count, text, element: { current: null }, ...options };
  notices.push(notice);
  while (notices.length > MOST && !hasFocus(notices[0])) notices.shift();
  draw();
  say(options.action ? `${text} ${options.action} is available.` : text);
  if (options.focus) notice.element.current.querySelector("button").focus();
  return () => close(notice);
}

function close(notice) {
  if (!notices.includes(notice)) return;
  const hadFocus = hasFocus(notice);
  notices = notices.filter((other) => other !== notice);
  draw();
  if (hadFocus) (notice.focusAfter?.() ?? document.getElementById("main")).focus();
}

const hasFocus = ({ element }) => Boolean(element.current?.contains(document.activeElement));

function draw() {
  const items = notices.map((notice) => html`<${Notice} key=${notice.id} notice=${notice} />`);
  render(items, document.getElementById("notes"));
}

/** A notice closes after some time, but not while someone points at it or has the focus in it. */
function Notice({ notice }) {
  const { text, action, onaction, seconds = 10, failed = false } = notice;
  const timer = useRef();
  const disarm = () => clearTimeout(timer.current);
  function arm() {
    disarm();
    timer.current = setTimeout(() => close(notice), seconds * 1000);
  }
  useLayoutEffect(() => (arm(), disarm), []);
  const act = () => (close(notice), onaction());
  return html`
    <div
      class=${failed ? "note failed" : "note"}
      ref=${notice.element}
      onpointerenter=${disarm}
      onpointerleave=${arm}
      onfocusin=${disarm}
      onfocusout=${arm}
    >
      <p>${text}</p>
      <div class="row">
        ${action && html`<${Button} onclick=${act} class="quiet">${action}<//>`}
        <${Button} onclick=${() => close(notice)} class="quiet" icon="cross">Dismiss<//>
      </div>
    </div>
  `;
}
