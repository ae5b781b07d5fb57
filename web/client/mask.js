/**
 * Draws a mask from the strokes of a brush.
 *
 * A stroke is `{ kind, size, points }`: its kind is "paint", "erase" or "clear", and its size and
 * its points, `[[x, y], …]`, are in pixels of the picture. What is painted may change.
 */

const MOST_BYTES = 4_000_000; // OpenAI's limit is 4 MB
const STRIP_PIXELS = 1 << 20; // read at once, so a large picture takes little memory
const HALF = 128; // of a channel's 256 values
const BLACK = 0xff000000; // opaque; all of today's machines have this byte order
const COLOUR = "#f0187f"; // is rare in pictures
const TINY = 0.01; // pixels

/** Adds the strokes to a canvas of any size, in a colour. `width` is the picture's. */
export function draw(canvas, strokes, width) {
  contextOf(canvas).strokeStyle = COLOUR;
  drawStrokes(canvas, strokes, width, { paint: "source-over", erase: "destination-out" });
}

/** Returns the strokes since the last "clear". */
export const shownOf = (strokes) =>
  strokes.slice(strokes.findLastIndex(({ kind }) => kind === "clear") + 1);

/** Returns the share of a canvas that is painted, 0 to 1. */
export function paintedShare(canvas) {
  const { data } = contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] >= HALF) painted += 1;
  return painted / (data.length / 4);
}

/**
 * Returns the mask as OpenAI wants it: a PNG of the picture's size, opaque and black where the
 * picture stays, and fully transparent where it may change.
 */
export async function toFile(strokes, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = contextOf(canvas);
  context.fillRect(0, 0, width, height);
  const kinds = { paint: "destination-out", erase: "source-over" };
  drawStrokes(canvas, shownOf(strokes), width, kinds);
  harden(context, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The picture is too large to be marked in this browser.");
  if (blob.size > MOST_BYTES) throw new Error("The mask is too detailed. Use a larger brush.");
  return new File([blob], "mask.png", { type: "image/png" });
}

const contextOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

function drawStrokes(canvas, strokes, width, kinds) {
  const context = contextOf(canvas);
  const scale = canvas.width / width;
  for (const { kind, size, points } of strokes) {
    context.globalCompositeOperation = kinds[kind];
    context.lineWidth = size * scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const [[x, y]] = points;
    // A line of no length is not drawn, but one point is a dot.
    context.moveTo(x * scale - TINY, y * scale);
    for (const point of points) context.lineTo(point[0] * scale, point[1] * scale);
    context.stroke();
  }
}

/** Makes each pixel either opaque or transparent. The edges of the strokes are smooth. */
function harden(context, width, height) {
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let y = 0; y < height; y += rows) {
    const strip = context.getImageData(0, y, width, Math.min(rows, height - y));
    const pixels = new Uint32Array(strip.data.buffer);
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = pixels[i] >>> 24 < HALF ? 0 : BLACK;
    context.putImageData(strip, 0, y);
  }
}
