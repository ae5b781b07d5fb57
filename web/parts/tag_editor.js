/** The tags of an image: those of people, which can be changed, and those that the model chose. */

import { modelTagsOf } from "../client/mark_changes.js";
import { Icon, html, useRef, useState } from "./elements.js";
import { LeaveLink } from "./lineage.js";

/**
 * `onmark(change)` changes the tags, unless `mayChange` is false.
 *
 * `onleave(go)` closes the lightbox and calls `go`.
 */
export function TagEditor({ image, mayChange, onmark, onleave }) {
  const [typed, setTyped] = useState("");
  const input = useRef();
  const own = image.own_tags ?? [];
  const modelTags = modelTagsOf(image);
  function add(event) {
    event.preventDefault();
    const tags = tagsIn(typed);
    if (tags.length) onmark({ add_tags: tags });
    setTyped("");
  }
  /** Removes a tag. Its button goes away, so the focus goes to the field. */
  function remove(tag) {
    onmark({ remove_tags: [tag] });
    input.current.focus();
  }
  const link = (tag) => html`
    <${LeaveLink} hash="#gallery?${new URLSearchParams({ tag })}" onleave=${onleave}>${tag}<//>
  `;
  return html`
    <section class="tags" aria-labelledby="tags">
      <h3 id="tags">Tags</h3>
      <ul>
        ${own.map(
          (tag) => html`
            <li key=${tag} class="own">
              ${link(tag)}
              ${mayChange &&
              html`
                <button type="button" aria-label="Remove the tag ${tag}" onclick=${() => remove(tag)}>
                  <${Icon} name="cross" />
                </button>
              `}
            </li>
          `,
        )}
      </ul>
      <form onsubmit=${add} hidden=${!mayChange}>
        <input
          aria-label="Add tags"
          placeholder="Add tags, with commas"
          dir="auto"
          autocomplete="off"
          ref=${input}
          value=${typed}
          oninput=${(event) => setTyped(event.target.value)}
        />
        <button type="submit" class="secondary">Add</button>
      </form>
      ${modelTags.length > 0 &&
      html`
        <h3>Tags from the prompt writer</h3>
        <ul>${modelTags.map((tag) => html`<li key=${tag}>${link(tag)}</li>`)}</ul>
      `}
    </section>
  `;
}

/** Returns the tags in a text that separates them by commas. */
export const tagsIn = (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean);
