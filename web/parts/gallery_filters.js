/** The fields of the gallery's search and filters. */

import { Button, Icon, html, useEffect, useLayoutEffect, useRef, useState } from "./elements.js";
import { isChoice } from "./filter_words.js";
import { FolderNames } from "./folder_names.js";
import { DayFilters, SelectFilter, isDay } from "./list_filters.js";

const PAUSE_MS = 300; // after the last key
const MOST_LETTERS = 200; // of a search
const MORE = ["from", "to", "person", "model", "tag", "shared", "batch", "hidden"];
const isText = (value) => value.length > 0;

/** The filters that the address may name, each with a test for its value. */
export const KNOWN = {
  q: isText,
  folder: isText,
  topic: isText,
  favourite: isChoice("favourite"),
  tag: isText,
  from: isDay,
  to: isDay,
  person: (value) => /^[0-9a-f]{8}$/.test(value),
  model: isText,
  shared: isChoice("shared"),
  batch: isChoice("batch"),
  hidden: isChoice("hidden"),
};

/** `onchange(values, options)` changes some of the filters, as useFilters does. */
export function GalleryFilters({ filters, onchange, api, people, offer }) {
  const { topics = [] } = offer?.request ?? {};
  const isFavourite = filters.favourite === "true";
  return html`
    <search class="filters">
      <${SearchField} value=${filters.q} onchange=${(q, options) => onchange({ q }, options)} />
      <${TypedFilter}
        name="folder" label="Folder" placeholder="All folders" list="folders"
        value=${filters.folder} onchange=${onchange}
        names=${(typed) => html`<${FolderNames} id="folders" api=${api} typed=${typed} />`}
      />
      <${TypedFilter}
        name="topic" label="Topic" placeholder="All topics" list="topics"
        value=${filters.topic} onchange=${onchange}
      />
      <datalist id="topics">${topics.map((name) => html`<option value=${name} />`)}</datalist>
      <${Button}
        onclick=${() => onchange({ favourite: isFavourite ? "" : "true" })}
        class="secondary favourites"
        icon="star"
        aria-pressed=${String(isFavourite)}
      >
        Favourites
      <//>
      <${MoreFilters} filters=${filters} onchange=${onchange} people=${people} offer=${offer} />
    </search>
  `;
}

/** Searches while someone types. All that is typed until the field is left is one entry of Back. */
function SearchField({ value, onchange }) {
  const [typed, setTyped] = useState(value);
  const { current } = useRef({ sent: value, hasEntry: false });
  useLayoutEffect(() => {
    if (value !== current.sent) setTyped((current.sent = value));
  }, [value]);
  useEffect(() => () => clearTimeout(current.timer), []);
  function send(text) {
    clearTimeout(current.timer);
    const words = text.trim();
    if (words === current.sent) return;
    current.sent = words;
    onchange(words, { replaces: current.hasEntry });
    current.hasEntry = true;
  }
  function type({ target }) {
    setTyped(target.value);
    clearTimeout(current.timer);
    current.timer = setTimeout(() => send(target.value), PAUSE_MS);
  }
  return html`
    <div class="field words">
      <label for="by-q">Search</label>
      <input
        type="search"
        id="by-q"
        dir="auto"
        maxlength=${MOST_LETTERS}
        placeholder="Words of title, idea, prompt, tags …"
        autocomplete="off"
        value=${typed}
        oninput=${type}
        onchange=${({ target }) => send(target.value)}
        onblur=${() => (current.hasEntry = false)}
      />
    </div>
  `;
}

/** Keeps what is typed until the browser reports it as a change. `names(typed)` lists choices. */
function TypedFilter({ name, label, value, onchange, names, ...attributes }) {
  const [typed, setTyped] = useState(value);
  useLayoutEffect(() => setTyped(value), [value]);
  return html`
    <div class="field">
      <label for="by-${name}">${label}</label>
      <input
        type="search"
        id="by-${name}"
        dir="auto"
        autocomplete="off"
        value=${typed}
        oninput=${(event) => setTyped(event.target.value)}
        onchange=${(event) => onchange({ [name]: event.target.value.trim() })}
        ...${attributes}
      />
      ${names?.(typed)}
    </div>
  `;
}

/** The filters that are needed less often. They open by themselves if one of them is set. */
function MoreFilters({ filters, onchange, people, offer }) {
  const set = MORE.filter((name) => filters[name]).length;
  const [startsOpen] = useState(set > 0);
  const select = (name, label, options) => html`
    <${SelectFilter}
      name=${name} label=${label} value=${filters[name]} options=${options} onchange=${onchange}
    />
  `;
  const persons = people.map(({ id, name }) => [id, name]);
  const models = (offer?.models ?? []).map(({ name }) => [name, name]);
  return html`
    <details class="more" open=${startsOpen}>
      <summary><${Icon} name="filter" />More filters${set > 0 && ` (${set})`}</summary>
      <div class="filters">
        <${DayFilters} filters=${filters} onchange=${onchange} />
        ${(persons.length > 0 || filters.person) &&
        select("person", "Who", [["", "Anyone"], ...withChosen(persons, filters.person, "One person")])}
        ${select("model", "Model", [["", "Any model"], ...withChosen(models, filters.model)])}
        <${TypedFilter}
          name="tag" label="Tag" placeholder="Any tag" value=${filters.tag} onchange=${onchange}
        />
        ${select("shared", "Sharing", [["", "Any"], ["true", "Shared"], ["false", "Not shared"]])}
        ${select("batch", "Batches", [
          ["", "Any"], ["true", "Made in a batch"], ["false", "Not made in a batch"],
        ])}
        ${select("hidden", "Rejected", [["", "Hidden"], ["yes", "Only these"], ["all", "All"]])}
      </div>
    </details>
  `;
}

/** Returns the options, with the chosen one if the address names another. */
const withChosen = (options, chosen, words = chosen) =>
  chosen && !options.some(([value]) => value === chosen) ? [...options, [chosen, words]] : options;
