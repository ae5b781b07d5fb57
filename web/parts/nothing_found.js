/** What the gallery shows if no image fits its filters: which of them to drop. */

import { Button, ButtonLink, html, useEffect, useState } from "./elements.js";
import { describeFilters } from "./filter_words.js";
import { Empty } from "./placeholders.js";

/**
 * `find(filters)` resolves to whether an image fits other filters, and `onchange(values)` changes
 * some of them.
 */
export function NothingFound({ filters, people, find, onchange }) {
  const set = describeFilters(filters, people);
  const helpful = useHelpful(filters, set, find);
  const make = html`<${ButtonLink} href="#make">Make a picture<//>`;
  if (!set.length)
    return html`
      <${Empty} title="No pictures yet" text="Pictures that you make appear here.">${make}<//>
    `;
  function drop(names) {
    onchange(Object.fromEntries(names.map((name) => [name, ""])));
    document.getElementById("by-q").focus();
  }
  const title = `No pictures found: ${set.map(({ words }) => words).join(", ")}`;
  const text = helpful.length
    ? "Some match without one of these filters."
    : "Try other words, or fewer filters.";
  return html`
    <${Empty} title=${title} text=${text}>
      ${helpful.map(
        ({ name, words }) => html`
          <${Button} key=${name} onclick=${() => drop([name])} icon="cross">Drop ${words}<//>
        `,
      )}
      <${Button} onclick=${() => drop(set.map(({ name }) => name))} class="secondary">
        Show all pictures
      <//>
      ${make}
    <//>
  `;
}

/** Returns those of several filters without which an image is found. */
function useHelpful(filters, set, find) {
  const [helpful, setHelpful] = useState([]);
  useEffect(() => {
    if (set.length < 2) return;
    let isShown = true;
    const tries = set.map(async (filter) => (await find({ ...filters, [filter.name]: "" })) && filter);
    // It is only a help: without it, the filters can still be changed.
    Promise.all(tries).then((found) => isShown && setHelpful(found.filter(Boolean)), () => {});
    return () => (isShown = false);
  }, []);
  return helpful;
}
