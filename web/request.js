/** What stands in the Make form, and the request that it makes. */

/** What stands in the form, as the draft keeps it. */
export function valuesOf(form) {
  const values = Object.fromEntries(new FormData(form));
  values.verbatim = values.verbatim === "on";
  values.size = values.size === "other" ? values.own_size.trim() : values.size;
  delete values.own_size;
  return values;
}

/** The API's Request for the values. What is empty is left to its defaults, but for what was chosen to be given: that the API refuses. */
export function requestOf({ idea, verbatim, count, ...values }) {
  const words = (idea ?? "").trim();
  const body = { ...values, [verbatim ? "prompt" : "description"]: words, style: verbatim ? "" : values.style };
  // What is no whole number goes as it was typed: the API says what is wrong with it.
  if (count) body.count = /^\d+$/.test(count) ? Number(count) : count;
  return Object.fromEntries(
    Object.entries(body)
      .filter(([name, value]) => typeof value !== "string" || value.trim() || name === "size" || name === "prompt")
      .map(([name, value]) => [name, typeof value === "string" ? value.trim() : value]),
  );
}
