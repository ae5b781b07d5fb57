/** The values of the form that makes images, and the request they make. */

/** The sizes that the form offers by name, each with its label and its ratio. */
export const NAMED_SIZES = [
  ["1024x1024", "Square", 1],
  ["1536x1024", "Landscape", 1.5],
  ["1024x1536", "Portrait", 2 / 3],
  ["2048x1152", "Wide", 16 / 9],
  ["auto", "Auto", null],
];
/** The labels of the form's fields that can show a problem. */
const LABELS = {
  topic: "Topic",
  idea: "Your idea",
  style: "Style",
  size: "Size",
  quality: "Quality",
  count: "Pictures",
  folder_name: "Folder",
  model: "Model",
  output_format: "Format",
  background: "Background",
  reference_images: "Reference images",
  output_sizes: "Exact sizes",
  share: "Sharing",
};
/** The page's words for the API's names in what a field allows. */
const PLAIN = [
  [/\boutput_format\b/g, "the format"],
  [/\bfolder_name\b/g, "the folder"],
  [/\bWIDTHxHEIGHT\b/g, "width x height"],
  [/ \(the setting [^)]*\)/g, ""],
];
/** The names of the fields that have the choices of the chosen model's facts. */
const FACTS = { quality: "qualities", background: "backgrounds" };
const number = new Intl.NumberFormat("en-US");
/** The field that shows the problem of a request's field, if their names differ. */
const SHOWN_AT = {
  description: "idea",
  prompt: "idea",
  topics: "topic",
  mask: "reference_images",
  crop: "output_sizes",
  sizes_format: "output_sizes",
};

/** Returns the form's field that an API error is about, or undefined. */
export function fieldOf(error) {
  const field = error?.field?.replace(/\W.*/, ""); // "mask.sha256" is about "mask"
  const name = SHOWN_AT[field] ?? field;
  return Object.hasOwn(LABELS, name ?? "") ? name : undefined;
}

/** Returns the label of a field of fieldOf. */
export const labelOf = (field) => LABELS[field];

/** Returns what is wrong with a field, in a sentence with its label. */
export function problemOf(error, values) {
  const label = labelOf(fieldOf(error));
  if (error.field === "prompt" && !values.idea.trim())
    return `${label} is empty. Write your text, or turn off “Use my text exactly”.`;
  if (error.nearest?.length && label === LABELS.size)
    return `${label}: ${values.model} cannot make ${values.size}. Choose one of the nearest sizes.`;
  if (!error.allowed || label === LABELS.reference_images) return `${label}: ${error.message}.`;
  const allowed = PLAIN.reduce((text, [name, words]) => text.replace(name, words), error.allowed);
  return `${label} can be ${allowed}.`;
}

/** Returns whether the form offers the size by its name. */
export const isNamedSize = (size) => NAMED_SIZES.some(([value]) => value === size);

/** Returns the values that the form starts with, from the draft, the limits and the stack. */
export function startValues({ draft, limits, stack, models }) {
  const chosen = (name) => draft[name] ?? limits[name].default;
  const model = draft.model ?? stack.model;
  const wanted = draft.output_sizes ?? [];
  const isNamed = (name) => Object.hasOwn(limits.output_sizes.named, name);
  const values = {
    topic: draft.topic ?? "",
    idea: draft.idea ?? "",
    verbatim: draft.verbatim ?? false,
    style: draft.style ?? "",
    size: chosen("size"),
    quality: chosen("quality"),
    count: String(chosen("count")),
    folder_name: draft.folder_name ?? "",
    model: models.some(({ name }) => name === model) ? model : (models[0]?.name ?? ""),
    output_format: chosen("output_format"),
    background: chosen("background"),
    output_sizes: wanted.filter(isNamed), // the names
    own_sizes: [draft.own_sizes, ...wanted.filter((size) => !isNamed(size))].filter(Boolean).join(", "),
    crop: chosen("crop"),
    share: draft.share ?? false,
    purpose: draft.purpose ?? "", // or "edit" or "vary"
    reference_images: draft.reference_images ?? [], // { key, image, name }, or { upload, name }
    mask: draft.mask ?? null, // the same, with the reference that it is `of` and its `strokes`
  };
  return withPossibleChoices(values, limits, models);
}

/** Returns the chosen model's facts, or undefined if it is not known. */
export const factsOf = ({ model }, models) => models.find(({ name }) => name === model);

/** Returns what identifies a reference in the form. */
export const identityOf = ({ upload, key }) => upload ?? key;

/** Returns the references and the mask that are not uploaded yet. */
export const unsentIn = ({ reference_images: references, mask }) =>
  [...references, mask].filter((item) => item && !item.key);

/** Returns the values without a mask that belongs to another image than the first. */
export function withoutOldMask(values) {
  const [first] = values.reference_images;
  const isOld = values.mask && (!first || identityOf(first) !== values.mask.of);
  return { ...values, ...(isOld && { mask: null }), ...(!first && { purpose: "" }) };
}

/** Returns the choices of a field that the chosen model makes: its qualities or backgrounds. */
export function choicesOf(field, values, limits, models) {
  const makes = factsOf(values, models)?.[FACTS[field]];
  const { choices } = limits[field];
  return makes ? choices.filter((name) => name === "auto" || makes.includes(name)) : choices;
}

/** Returns the sizes with a name that the chosen model makes. */
export function namedSizesOf(values, models) {
  const rule = factsOf(values, models)?.sizes;
  return NAMED_SIZES.filter(([size]) => !rule || size === "auto" || fits(size, rule));
}

function fits(size, rule) {
  const [width, height] = size.split("x").map(Number);
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  return (
    width % rule.step === 0 &&
    height % rule.step === 0 &&
    long <= Math.min(rule.longest_edge, rule.ratio * short) &&
    width * height >= rule.least_pixels &&
    width * height <= rule.most_pixels
  );
}

/** Returns the rule of the chosen model's sizes, or null if it is not known. */
export function sizeRuleOf(values, models) {
  const rule = factsOf(values, models)?.sizes;
  if (!rule) return null;
  const { step, ratio, longest_edge: edge, least_pixels: least, most_pixels: most } = rule;
  return (
    `Both divisible by ${step} and at most ${edge}, ratio between 1:${ratio} and ${ratio}:1, ` +
    `${number.format(least)} to ${number.format(most)} pixels`
  );
}

/** Returns the values with the default of each choice that the model does not make. */
export function withPossibleChoices(values, limits, models) {
  const possible = { ...values };
  for (const field of Object.keys(FACTS))
    if (!choicesOf(field, values, limits, models).includes(values[field]))
      possible[field] = limits[field].default;
  const isOffered = namedSizesOf(values, models).some(([size]) => size === values.size);
  if (isNamedSize(values.size) && !isOffered) possible.size = limits.size.default;
  return possible;
}

/**
 * Returns the API's request for the values.
 *
 * Empty values are left out, so the API takes its defaults. A size and a prompt that someone chose
 * to give are sent even if they are empty: the API refuses them.
 */
export function requestOf(values) {
  const { idea, verbatim, count, purpose, reference_images: references, mask, ...others } = values;
  const { output_sizes: _names, own_sizes: _own, crop, share, ...rest } = others;
  const sizes = outputSizesOf(values);
  const words = idea.trim();
  const style = verbatim ? "" : rest.style;
  // An edit starts without words, and the API refuses an empty prompt.
  const isPrompt = verbatim && (words || purpose !== "edit");
  const body = { ...rest, [isPrompt ? "prompt" : "description"]: words, style };
  const names = references.filter(({ key }) => key).map(nameOf);
  if (names.length) body.reference_images = names;
  if (names.length && mask?.key) body.mask = nameOf(mask);
  // Anything but a whole number is sent as it was typed: the API says what is wrong with it.
  if (count) body.count = /^\d+$/.test(count) ? Number(count) : count;
  if (share) body.share = true;
  if (sizes.length) {
    // The API chooses the cheapest size from which all of them can be cut.
    delete body.size;
    Object.assign(body, { output_sizes: sizes, crop });
  }
  const isSent = ([name, value]) =>
    typeof value !== "string" || value.trim() || name === "size" || name === "prompt";
  const trimmed = ([name, value]) => [name, typeof value === "string" ? value.trim() : value];
  return Object.fromEntries(Object.entries(body).filter(isSent).map(trimmed));
}

/** Returns all exact sizes of the form, by name or in pixels. */
export const outputSizesOf = ({ output_sizes: names, own_sizes: own }) => [
  ...names,
  ...own.split(/[\s,;]+/).filter(Boolean),
];

/** Returns how a request names a reference. */
const nameOf = ({ key, sha256 }) => (sha256 ? { key, sha256 } : key);
