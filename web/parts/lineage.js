/** What an image was made from, and which images were made from it. */

import { goTo } from "../client/address.js";
import { many } from "../client/format.js";
import { html } from "./elements.js";

/** Shows the references of a whole image of the API, and the images that it is used in. */
export function Lineage({ image, onleave }) {
  const { references = [], used_in: usedIn = [], used_in_count: uses = 0 } = image;
  const pictures = references.filter(({ is_mask: isMask }) => !isMask);
  const mask = references.find(({ is_mask: isMask }) => isMask);
  const nameOf = (index) => `Image ${index + 1}`;
  return html`
    ${pictures.length > 0 &&
    html`
      <section aria-labelledby="made-from">
        <h3 id="made-from">Made from</h3>
        <ul class="relatives">
          ${pictures.map(
            (reference, index) => html`
              <${Relative} ...${reference} words=${nameOf(index)} onleave=${onleave} />
            `,
          )}
          ${mask && html`<${Relative} ...${mask} words="Mask" onleave=${onleave} />`}
        </ul>
      </section>
    `}
    ${uses > 0 &&
    html`
      <section aria-labelledby="used-in">
        <h3 id="used-in">Used in ${many(uses, "picture")}</h3>
        <ul class="relatives">
          ${usedIn.map(
            ({ title, ...other }) => html`
              <${Relative} key=${other.id} ...${other} words=${title || "Untitled"} onleave=${onleave} />
            `,
          )}
        </ul>
        ${uses > usedIn.length && html`<p class="hint">The newest ${usedIn.length} are shown.</p>`}
      </section>
    `}
  `;
}

/** Returns what a delete of the image means for others, or null. */
export function usesOf({ used_in_count: count }) {
  if (!count) return null;
  return count === 1
    ? "1 picture was made from it. It stays."
    : `${many(count, "picture")} were made from it. They stay.`;
}

/** A small picture with its name, as a link if the picture is in the gallery. */
function Relative({ id, thumbnail, words, onleave }) {
  const picture = thumbnail
    ? html`<img src=${thumbnail} alt="" loading="lazy" />`
    : html`<span class="blank">Deleted</span>`;
  const content = html`${picture}<span>${words}</span>`;
  const hash = `#gallery?${new URLSearchParams({ image: id })}`;
  return html`
    <li>
      ${id && thumbnail
        ? html`<${LeaveLink} hash=${hash} onleave=${onleave}>${content}<//>`
        : html`<span class="still">${content}</span>`}
    </li>
  `;
}

/** A link that closes the lightbox first. */
export function LeaveLink({ hash, onleave, children }) {
  const leave = (event) => {
    event.preventDefault();
    onleave(() => goTo(hash));
  };
  return html`<a href=${hash} onclick=${leave}>${children}</a>`;
}
