/** The filters of a list: they are kept in the address, and each change is an entry of the history. */

import { showFilters } from "../client/address.js";
import { html, useState } from "./elements.js";

const DAY = /^\d{4}-\d\d-\d\d$/;

/**
 * Returns the filters that the address names, and a function that changes some of them.
 *
 * `known` has a test for each filter's value. A value that fails it is left out. The options of the
 * function are those of showFilters.
 */
export function useFilters(path, query, known) {
  const [filters, setFilters] = useState(() => {
    const isKnown = ([name, isValid]) => query.has(name) && isValid(query.get(name));
    return Object.fromEntries(
      Object.entries(known).map((entry) => [entry[0], isKnown(entry) ? query.get(entry[0]) : ""]),
    );
  });
  function change(values, options) {
    const changed = { ...filters, ...values };
    showFilters(path, Object.entries(changed).filter(([, value]) => value), options);
    setFilters(changed);
  }
  return [filters, change];
}

/** Whether a value is a day, as a date input has it. */
export const isDay = (value) => DAY.test(value) && !Number.isNaN(Date.parse(value));

/** Returns the days of this place as the times that the API takes. */
export function timesOf({ from, to }) {
  const midnight = (day, more) => {
    const date = new Date(`${day}T00:00`);
    date.setDate(date.getDate() + more);
    return date.toISOString();
  };
  return { from: from && midnight(from, 0), to: to && midnight(to, 1) };
}

/** A filter with a list of `options`, each a value and its words. */
export function SelectFilter({ name, label, value, options, onchange }) {
  return html`
    <div class="field">
      <label for="by-${name}">${label}</label>
      <select id="by-${name}" onchange=${(event) => onchange({ [name]: event.target.value })}>
        ${options.map(
          ([key, words]) => html`
            <option key=${key} value=${key} selected=${key === value}>${words}</option>
          `,
        )}
      </select>
    </div>
  `;
}

/** The filters for the first and the last day. */
export function DayFilters({ filters: { from, to }, onchange }) {
  const day = (name, label, value, limits) => html`
    <div class="field day">
      <label for="by-${name}">${label}</label>
      <input
        type="date"
        id="by-${name}"
        value=${value}
        ...${limits}
        onchange=${({ target }) => target.validity.valid && onchange({ [name]: target.value })}
      />
    </div>
  `;
  return [
    day("from", "From", from, { max: to || null }),
    day("to", "To", to, { min: from || null }),
  ];
}

/** The two lists under Runs. */
export function Tabs({ current }) {
  const tab = (place, words) => html`
    <li><a href="#${place}" aria-current=${place === current ? "page" : null}>${words}</a></li>
  `;
  return html`
    <nav class="tabs" aria-label="Runs and batches">
      <ul>${tab("runs", "Runs")} ${tab("batches", "Batches")}</ul>
    </nav>
  `;
}
