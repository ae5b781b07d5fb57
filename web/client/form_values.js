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
  preset: "Preset",
  avoid: "Avoid",
  tags: "Tags",
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
/** The fields of a request that the form has no input for, and sends as they were. */
const CARRIED = {
  file_name: "File name",
  output_compression: "Compression",
  sizes_format: "Format of the exact sizes",
  moderation: "Moderation",
  notify: "Notify",
};
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

/** Returns the fields of a request that the form has no input for. */
export const carriedFrom = (request) =>
  Object.fromEntries(Object.entries(request).filter(([name]) => Object.hasOwn(CARRIED, name)));

/** Returns those fields that the values send, each with its label and its value in words. */
export const describeCarried = (values) =>
  Object.entries(sentCarried(values)).map(([name, value]) => ({
    label: CARRIED[name],
    words: Array.isArray(value) ? value.join(", ") : String(value),
  }));

/** Without exact sizes, the API refuses the field that is about them. */
function sentCarried({ carried: { sizes_format: format, ...rest }, ...values }) {
  return {
    ...rest,
    ...(format && outputSizesOf(values).length && { sizes_format: format }),
  };
}

/** Returns the form's values for a request without any field, or for one of this preset. */
export function baseValues({ limits, stack, models, preset }) {
  const chosen = (name) => limits[name].default;
  const isOffered = models.some(({ name }) => name === stack.model);
  const values = {
    preset: preset?.name ?? "",
    topic: "",
    idea: "",
    verbatim: false,
    style: "",
    avoid: [],
    size: chosen("size"),
    quality: chosen("quality"),
    count: String(chosen("count")),
    folder_name: "",
    tags: [],
    model: isOffered ? stack.model : (models[0]?.name ?? ""),
    output_format: chosen("output_format"),
    background: chosen("background"),
    output_sizes: [], // the names
    own_sizes: "",
    crop: chosen("crop"),
    share: false,
    carried: {}, // the fields of an earlier request that have no input
    purpose: "", // or "edit" or "vary"
    reference_images: [], // { key, image, name }, or { upload, name }
    mask: null, // the same, with the reference that it is `of` and its `strokes`
  };
  return { ...values, ...asValues(preset?.fields ?? {}, values, limits, models) };
}

/** Returns the values that the form starts with: `base`, and over it a draft or a request. */
export function startValues({ draft, base, limits, models }) {
  const values = { ...base, ...asValues(draft, base, limits, models) };
  return withPossibleChoices(values, limits, models);
}

/** Returns the fields of a draft, a preset or a request as values of the form, which `known` has. */
function asValues(fields, known, limits, models) {
  const isGiven = ([name, value]) => Object.hasOwn(known, name) && value != null;
  const values = Object.fromEntries(Object.entries(fields).filter(isGiven));
  if (values.count) values.count = String(values.count);
  if (!models.some(({ name }) => name === values.model)) delete values.model;
  if (values.output_sizes || values.own_sizes) {
    const sizes = values.output_sizes ?? [];
    const isNamed = (name) => Object.hasOwn(limits.output_sizes.named, name);
    const others = sizes.filter((size) => !isNamed(size));
    values.output_sizes = sizes.filter(isNamed);
    values.own_sizes = [values.own_sizes, ...others].filter(Boolean).join(", ");
  }
  if (values.reference_images) values.reference_images = values.reference_images.map(asItem);
  return values;
}

/** A request names a reference by its key, or by an object that also has its checksum. */
export const asItem = (reference) =>
  typeof reference === "string" ? { key: reference } : reference;

/** Returns the values after a change of what they are based on. Somebody's own changes stay. */
export function rebase(values, before, now) {
  const isOwn = ([name, value]) =>
    value !== null && value !== "" && value.length !== 0 && !isSame(value, before[name]);
  return { ...now, ...Object.fromEntries(Object.entries(values).filter(isOwn)), preset: now.preset };
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

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
 * to give are sent even if they are empty: the API refuses them. A request with a preset has only
 * the fields that differ from `base`, so the preset's may change later.
 */
export function requestOf(values, base) {
  const request = wholeRequest(values);
  if (!values.preset) return request;
  const same = wholeRequest({ ...base, preset: "" });
  const isOwn = ([name, value]) => !isSame(value, same[name]);
  return Object.fromEntries(Object.entries(request).filter(isOwn));
}

function wholeRequest(values) {
  const { idea, verbatim, count, purpose, reference_images: references, mask, ...others } = values;
  const { output_sizes: _names, own_sizes: _own, carried: _carried, crop, share, ...rest } = others;
  const sizes = outputSizesOf(values);
  const words = idea.trim();
  // A finished prompt has no style and nothing to avoid.
  const painted = verbatim ? { style: "", avoid: [] } : {};
  // An edit starts without words, and the API refuses an empty prompt.
  const isPrompt = verbatim && (words || purpose !== "edit");
  const body = {
    ...sentCarried(values),
    ...rest,
    [isPrompt ? "prompt" : "description"]: words,
    ...painted,
  };
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
    typeof value === "string" ? value.trim() || name === "size" || name === "prompt" : value.length !== 0;
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
