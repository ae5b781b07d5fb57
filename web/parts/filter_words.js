/** The filters of the gallery in words. */

const FLAGS = {
  favourite: { true: "favourites" },
  shared: { true: "shared", false: "not shared" },
  batch: { true: "made in a batch", false: "not made in a batch" },
  hidden: { yes: "rejected", all: "with rejected ones" },
};

/** Returns the filters that are set, each with its name and in words. `people` have names. */
export function describeFilters(filters, people = []) {
  const words = {
    q: (value) => `“${value}”`,
    topic: (value) => `topic “${value}”`,
    folder: (value) => `folder “${value}”`,
    tag: (value) => `tag “${value}”`,
    from: (value) => `since ${value}`,
    to: (value) => `until ${value}`,
    person: (value) => `by ${people.find(({ id }) => id === value)?.name ?? "one person"}`,
    model: (value) => `model ${value}`,
  };
  return Object.entries(filters)
    .filter(([, value]) => value)
    .map(([name, value]) => ({ name, words: words[name]?.(value) ?? FLAGS[name][value] }));
}

/** Returns whether the address may have this value for a filter with a few choices. */
export const isChoice = (name) => (value) => Object.hasOwn(FLAGS[name], value);
