/** Makes an image public, and offers its address in the forms that other pages need. */

import { explain } from "../client/api.js";
import { ended } from "../client/run_polling.js";
import { CopyButton } from "./copy_button.js";
import { Button, html, useLayoutEffect, useRef, useState } from "./elements.js";

/**
 * Shows whether an image is public, and lets people change that.
 *
 * `images` are all objects of the page that stand for the image. The first one is the newest.
 */
export function Sharing({ images, api, onoutcome }) {
  const [image] = images;
  const [share, setShare] = useState(image.share ?? null);
  const [isBusy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState(null);
  const section = useRef();
  const started = useRef(share);
  useLayoutEffect(() => {
    // It may have been shared together with others.
    if (image.share?.url !== share?.url) setShare((started.current = image.share ?? null));
  }, [image.share?.url]);
  async function change(start, outcome) {
    setBusy(true);
    setTrouble(null);
    try {
      await ended(api, await start(image.id));
      const { share: now, sizes } = await api.image(image.id);
      setShare(now);
      for (const known of images) Object.assign(known, { share: now, sizes });
      onoutcome(outcome);
    } catch (error) {
      setTrouble(error);
    }
    setBusy(false);
  }
  // The button that was clicked is gone once the picture has changed sides.
  useLayoutEffect(() => {
    if (share !== started.current) section.current.querySelector("button").focus();
    started.current = share;
  }, [share]);
  const problem = trouble && html`<p class="wrong" role="alert">${explain(trouble)}</p>`;
  if (!share)
    return html`
      <section class="sharing" ref=${section}>
        <h3>Sharing</h3>
        ${problem}
        <p class="hint">Only people who sign in see this picture.</p>
        <${Button}
          onclick=${() => change(api.shareImage, "The picture is public")}
          icon="out"
          class="secondary"
          disabled=${isBusy}
        >
          ${isBusy ? "Sharing…" : "Share with a public link"}
        <//>
      </section>
    `;
  const { url } = share;
  const words = image.alt_text || image.title || "";
  const copies = [
    ["Copy public link", "Public link copied", () => url],
    ["Copy as Markdown", "Markdown copied", () => `![${inMarkdown(words)}](${url})`],
    ["Copy as HTML", "HTML copied", () => `<img src="${inHtml(url)}" alt="${inHtml(words)}">`],
  ];
  return html`
    <section class="sharing" ref=${section}>
      <h3>Sharing</h3>
      ${problem}
      <p class="hint">Everyone who has the link sees this picture.</p>
      <p class="address"><a href=${url} target="_blank" rel="noopener">${url}</a></p>
      <div class="actions">
        ${copies.map(
          ([label, done, read]) => html`
            <${CopyButton} key=${label} words=${label} done=${done} read=${read} onoutcome=${onoutcome} />
          `,
        )}
        <${Button}
          onclick=${() => change(api.unshareImage, "The picture is private")}
          icon="stop"
          class="secondary danger"
          disabled=${isBusy}
        >
          ${isBusy ? "One moment…" : "Stop sharing"}
        <//>
        <${Button}
          onclick=${() => change(api.shareImage, "The link is repaired")}
          icon="again"
          class="secondary"
          disabled=${isBusy}
        >
          Repair link
        <//>
      </div>
    </section>
  `;
}

const inMarkdown = (text) => text.replace(/\s+/g, " ").replace(/[\\[\]]/g, "\\$&");

const inHtml = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
