/** The page's `html` templates and hooks, icons, buttons and links. Text is only ever text. */

import { html } from "../vendor/htm-3.1.1/standalone.module.js";

export {
  html,
  render,
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef,
  useState,
} from "../vendor/htm-3.1.1/standalone.module.js";

const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6L6 18",
  clock: "M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18",
  brush: "M20 4L10 14m-3 1c-2 0-3 1.4-3 3.5 0 1-.5 1.5-1 2 3.5.8 7 0 7-3 0-1.5-1-2.5-3-2.5",
  again: "M4 12a8 8 0 1 1 2.5 5.800M4 19v-5h5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  down: "M12 4v11m-5-4.5l5 5 5-5M5 20h14",
  bin: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5m4-5v5",
  back: "M9 5L4 10l5 5M4 10h10a5 5 0 0 1 0 10h-3",
  out: "M14 5h5v5M19 5l-9 9M10 5H5v14h14v-5",
  stop: "M7 7h10v10H7z",
  play: "M8 5l11 7-11 7z",
  dice: "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
  info: "M12 11v6m0-10h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18",
  leave: "M14 4h5v16h-5M4 12h11m-4-4l4 4-4 4",
  add: "M4 5h11M4 5v14h16v-8M4 16l5-5 4 4 3-3 4 4M19 2v6m-3-3h6",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  forward: "M15 5l5 5-5 5M20 10H10a5 5 0 0 0 0 10h3",
  edit: "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4",
  vary: "M4 4h10v10H4zM10 18v2h10V10h-2",
  star: "M12 3.500l2.600 5.400 5.900.8-4.300 4.100 1 5.900-5.200-2.800-5.200 2.800 1-5.900-4.300-4.100 5.900-.8z",
  filter: "M4 6h16M7 12h10M10 18h4",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01",
  folder: "M3 6h7l2 2h9v11H3z",
  hide: "M4 4l16 16M9.500 5.500A10 10 0 0 1 21 12a13 13 0 0 1-2.500 3.500M6 7.500A13 13 0 0 0 3 12a10 10 0 0 0 12 5.500",
  select: "M4 4h16v16H4zM8 12.500l3 3 5-6",
  compare: "M12 3v18M4 6h5v12H4zM15 6h5v12h-5z",
};

/** A line icon. It is decoration only: words next to it say the same. */
export function Icon({ name }) {
  return html`
    <svg viewBox="0 0 24 24" class="icon" aria-hidden="true" focusable="false">
      <path d=${PATHS[name]} />
    </svg>
  `;
}

/** A button of plain words, with an icon if one is named. */
export function Button({ icon, children, ...attributes }) {
  return html`
    <button type="button" ...${attributes}>
      ${icon && html`<${Icon} name=${icon} />`}
      <span>${children}</span>
    </button>
  `;
}

/** A link that looks like a button. */
export function ButtonLink({ icon, children, ...attributes }) {
  return html`
    <a role="button" ...${attributes}>${icon && html`<${Icon} name=${icon} />`}${children}</a>
  `;
}

/** A link to another site, which opens in a tab of its own. */
export function OutsideLink({ children, ...attributes }) {
  return html`
    <a target="_blank" rel="noopener noreferrer" ...${attributes}>
      <${Icon} name="out" />${children}
    </a>
  `;
}
