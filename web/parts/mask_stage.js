/** The part of the mask's dialog where the brush draws. */

import { draw, paintedShare, shownOf } from "../client/mask.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./elements.js";

const CANVAS_EDGE = 1280; // pixels of the longer side; the mask itself has the picture's size
const STEP = 0.5; // of the brush, for an arrow key
const FINE_STEP = 0.1; // with Shift
const NEXT_POINT = 0.1; // of the brush: points that are closer than this are left out
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The picture with the marks on it. `size` is the brush's, in pixels of the picture.
 *
 * The picture is an image below a transparent canvas: a canvas with a picture of another origin
 * could not be read.
 */
export function Stage({ picture, original, marks, kind, size, onresize }) {
  const { width, height } = picture;
  const canvas = useRef();
  const live = useRef(null); // the stroke that is being drawn
  const [at, setAt] = useState({ x: width / 2, y: height / 2 }); // where the brush is
  const scale = Math.min(1, CANVAS_EDGE / Math.max(width, height));

  useLayoutEffect(() => {
    const { current: shown } = canvas;
    shown.width = Math.round(width * scale); // this also clears it
    shown.height = Math.round(height * scale);
    draw(shown, shownOf(marks.strokes), width);
    marks.setShare(paintedShare(shown));
  }, [marks.strokes]);

  function begin(point) {
    live.current = { kind, size: Math.round(size), points: [] };
    extend(point);
  }
  function extend({ x, y }) {
    setAt({ x, y });
    if (!live.current) return;
    const { points } = live.current;
    const [lastX, lastY] = points.at(-1) ?? [];
    if (Math.hypot(x - lastX, y - lastY) < size * NEXT_POINT) return;
    points.push([Math.round(x), Math.round(y)]);
    draw(canvas.current, [{ ...live.current, points: points.slice(-2) }], width);
  }
  function end() {
    if (live.current) marks.add(live.current);
    live.current = null;
  }

  function placeOf({ clientX, clientY }) {
    const box = canvas.current.getBoundingClientRect();
    const inside = (value, most) => Math.min(most, Math.max(0, value * most));
    return {
      x: inside((clientX - box.left) / box.width, width),
      y: inside((clientY - box.top) / box.height, height),
    };
  }
  function press(event) {
    if (event.button || !event.isPrimary) return;
    canvas.current.setPointerCapture(event.pointerId);
    begin(placeOf(event));
  }
  function move(event) {
    if (!event.isPrimary) return;
    const passed = (live.current && event.getCoalescedEvents?.()) || [];
    for (const point of passed.length ? passed : [event]) extend(placeOf(point));
  }

  function watchKeys(event) {
    const { key, repeat, shiftKey, ctrlKey, metaKey } = event;
    const arrow = ARROWS[key];
    if (ctrlKey || metaKey || !(arrow || " +-".includes(key))) return;
    event.preventDefault();
    if (arrow) {
      const step = size * (shiftKey ? FINE_STEP : STEP);
      const next = (value, by, most) => Math.min(most, Math.max(0, value + by * step));
      extend({ x: next(at.x, arrow[0], width), y: next(at.y, arrow[1], height) });
    } else if (key !== " ") onresize(key === "+" ? 1 : -1);
    else if (!repeat) begin(at);
  }
  const ring = {
    left: `${(at.x / width) * 100}%`,
    top: `${(at.y / height) * 100}%`,
    width: `${(size / width) * 100}%`,
  };
  return html`
    <div
      class="stage"
      role="application"
      tabindex="0"
      aria-label="The picture to mark"
      aria-describedby="brush-help"
      style=${{ "--ratio": width / height }}
      onkeydown=${watchKeys}
      onkeyup=${({ key }) => key === " " && end()}
      onblur=${end}
    >
      <${Picture} picture=${picture} original=${original} />
      <canvas
        ref=${canvas}
        onpointerdown=${press}
        onpointermove=${move}
        onpointerup=${end}
        onpointercancel=${end}
      ></canvas>
      <span class="ring" style=${ring}></span>
    </div>
  `;
}

/** The picture: from the file on this computer, if the browser can show it, or from its link. */
function Picture({ picture, original }) {
  const [link, setLink] = useState(original ? null : picture.picture);
  useEffect(() => {
    if (!original) return;
    const made = URL.createObjectURL(original);
    setLink(made);
    return () => URL.revokeObjectURL(made);
  }, []);
  return html`<img src=${link} alt="" draggable=${false} onerror=${() => setLink(picture.picture)} />`;
}
