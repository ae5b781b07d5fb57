/** The lightbox's panel: an image's details, and what can be done with it. */

import { goTo, linkTo } from "../client/address.js";
import { explain } from "../client/api.js";
import {
  addReferenceToDraft,
  keepEditAsDraft,
  keepIdeaAsDraft,
  keepImageAsDraft,
  keepVariationsAsDraft,
} from "../client/drafts.js";
import { bytes, money, topicOf, when } from "../client/format.js";
import { CompareButton } from "./compare_slider.js";
import { CopyButton } from "./copy_button.js";
import { Button, Icon, html, useEffect, useLayoutEffect, useState } from "./elements.js";
import { LeaveLink, Lineage, usesOf } from "./lineage.js";
import { MarkButtons, mark } from "./mark_buttons.js";
import { MoveButton } from "./move_dialog.js";
import { Sharing } from "./sharing.js";
import { useMarks } from "./shown_marks.js";
import { TagEditor } from "./tag_editor.js";

const RENEW_BEFORE_MS = 10_000; // a download link that expires sooner than this is renewed
const FORMATS = {
  "image/jpeg": "JPEG", "image/webp": "WebP", "image/avif": "AVIF", "image/png": "PNG",
};

/**
 * Shows an image in the element `panel`.
 *
 * `readWhole(image)` reads it with its whole prompt, `onleave(go)` closes the lightbox and calls
 * `go`, and `ondelete(image, uses)`, `onreject(image)` and `onmove(image, folder)` close it and do
 * what they are called.
 */
export function ImageDetails({ image, panel, readWhole, ...actions }) {
  const [isOpen, setOpen] = useState(false);
  const [whole, setWhole] = useState(null);
  useLayoutEffect(() => void panel.classList.toggle("open", isOpen), [isOpen]);
  useEffect(() => {
    let isShown = true;
    // If this fails, the list's version stays; its prompt may be cut.
    readWhole(image).then((all) => isShown && setWhole(all), () => {});
    return () => (isShown = false);
  }, [image.id]);
  const shown = whole?.id === image.id ? whole : image;
  useMarks([image, shown]);
  return html`
    <header>
      <h2>${image.title || "Untitled"}</h2>
      <${Button}
        onclick=${() => setOpen(!isOpen)}
        class="quiet toggle"
        icon="info"
        aria-expanded=${String(isOpen)}
      >
        Details
      <//>
    </header>
    <${Body} key=${image.id} image=${shown} listed=${image} readWhole=${readWhole} ...${actions} />
  `;
}

function Body({ image, listed, api, readWhole, onleave, ondelete, onreject, onmove }) {
  const [trouble, setTrouble] = useState(null);
  const [outcome, setOutcome] = useState(""); // of the last copy
  const { mayMake } = api; // the role look has only what reads
  /** Fills the form with what `keepDraft` makes of the image. */
  const fillForm = (keepDraft) => async () => {
    try {
      const whole = await readWhole(image);
      onleave(() => {
        keepDraft(whole);
        goTo("#make");
      });
    } catch (error) {
      setTrouble(error);
    }
  };
  return html`
    <div class="body" tabindex="0" role="region" aria-label="About the picture">
      ${trouble && html`<p class="wrong" role="alert">${explain(trouble)}</p>`}
      <div class="actions">
        ${mayMake &&
        html`
          <${Button} onclick=${fillForm(keepEditAsDraft)} icon="edit">Edit<//>
          <${Button} onclick=${fillForm(keepVariationsAsDraft)} icon="vary">Vary<//>
          <${Button}
            onclick=${fillForm(addReferenceToDraft)}
            icon="add"
            class="secondary whole"
          >
            Add to my reference images
          <//>
        `}
        <${CompareButton} image=${image} api=${api} ontrouble=${setTrouble} />
        ${mayMake &&
        html`
          <${MarkButtons}
            image=${image}
            onmark=${(change) => (change.hidden ? onreject(image) : mark(api, image, change))}
          />
        `}
        <${CopyButton}
          words="Copy prompt"
          done="Prompt copied"
          read=${async () => (await readWhole(image)).prompt}
          onoutcome=${setOutcome}
        />
        <${CopyButton}
          words="Copy link"
          done="Link copied"
          read=${() => linkTo(image.id)}
          onoutcome=${setOutcome}
        />
        ${image.links && html`<${DownloadLink} image=${image} api=${api} />`}
        ${mayMake &&
        html`
          <${MoveButton} image=${image} api=${api} onmove=${(folder) => onmove(image, folder)} />
          ${image.request !== null &&
          html`
            <${Button} onclick=${fillForm(keepIdeaAsDraft)} icon="again" class="secondary">
              Reuse idea
            <//>
          `}
          <${Button} onclick=${fillForm(keepImageAsDraft)} icon="again" class="secondary">
            Reuse prompt
          <//>
          <${Button}
            onclick=${() => ondelete(listed, usesOf(image))}
            icon="bin"
            class="secondary danger whole"
          >
            Delete
          <//>
          ${usesOf(image) && html`<p class="hint whole">${usesOf(image)}</p>`}
        `}
      </div>
      <p class="unseen" role="status">${outcome}</p>
      ${api.shares && mayMake && html`<${Sharing} images=${[image, listed]} api=${api} onoutcome=${setOutcome} />`}
      ${image.sizes?.length > 0 && html`<${ExactSizes} image=${image} api=${api} />`}
      <${TagEditor}
        image=${image} mayChange=${mayMake} onmark=${(change) => mark(api, image, change)} onleave=${onleave}
      />
      <${Lineage} image=${image} onleave=${onleave} />
      ${image.prompt && html`<${Prompt} image=${image} />`}
      <${Facts} image=${image} onleave=${onleave} />
    </div>
  `;
}

function Prompt({ image }) {
  return html`
    <section>
      <h3>Prompt</h3>
      <p class="prompt">${image.prompt}${image.prompt_cut && "…"}</p>
    </section>
  `;
}

function DownloadLink({ image, api }) {
  async function renew(event) {
    if (new Date(image.links.expires_at) - Date.now() > RENEW_BEFORE_MS) return;
    event.preventDefault();
    image.links = (await api.image(image.id)).links;
    location.assign(image.links.download);
  }
  return html`
    <a
      href=${image.links.download}
      role="button"
      class="secondary"
      download=""
      onclick=${renew}
    >
      <${Icon} name="down" /><span>Download</span>
    </a>
  `;
}

/** The files of exact sizes that were cut out of the image, each as a download. */
function ExactSizes({ image, api }) {
  const renew = (key) => async (event) => {
    if (new Date(image.links.expires_at) - Date.now() > RENEW_BEFORE_MS) return;
    event.preventDefault();
    const { sizes } = await api.image(image.id);
    location.assign(sizes.find((size) => size.key === key).download);
  };
  const row = ({ key, name, width, height, content_type: type, bytes: length, ...size }) => html`
    <li key=${key}>
      <a href=${size.download} download="" onclick=${renew(key)}>${name ?? `${width} × ${height}`}</a>
      <small>
        ${joined(
          name && `${width} × ${height}`,
          FORMATS[type],
          bytes(length),
          size.enlarged && "enlarged",
        )}
        ${size.public_url && html` · <a href=${size.public_url}>public link</a>`}
      </small>
    </li>
  `;
  return html`
    <section class="exact-sizes">
      <h3>Sizes</h3>
      <ul>${image.sizes.map(row)}</ul>
    </section>
  `;
}

function Facts({ image, onleave }) {
  const { folder, quality } = image;
  const topic = topicOf(image);
  const link = (hash, words) => html`<${LeaveLink} hash=${hash} onleave=${onleave}>${words}<//>`;
  const facts = [
    ["Model", joined(image.model, quality && `${quality} quality`)],
    ["Cost", money(image.cost_usd)],
    ["Topic", topic && link(`#gallery?${new URLSearchParams({ topic })}`, topic)],
    ["Folder", folder && link(`#gallery?${new URLSearchParams({ folder })}`, folder)],
    ["Style", image.style],
    [
      "Size",
      joined(
        image.width && `${image.width} × ${image.height}`,
        image.bytes && bytes(image.bytes),
      ),
    ],
    ["Made", image.stored_at && when(image.stored_at)],
    ["Run", image.run_url && link(`#run/${runIdOf(image)}`, "View run")],
  ];
  return html`
    <dl>
      ${facts.map(
        ([name, value]) => value && html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
      )}
    </dl>
  `;
}

const joined = (...parts) => parts.filter(Boolean).join(", ");

/** Returns the id as it is written in the page's addresses. */
const runIdOf = ({ run_url: url }) => encodeURIComponent(decodeURIComponent(url.split("/").pop()));
