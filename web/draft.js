/** Keeps what stands in the Make form while people look elsewhere, and over a reload; also "again with this prompt". */

const PLACE = "easel.draft";

export const readDraft = () => JSON.parse(sessionStorage.getItem(PLACE) ?? "{}");

export const keepDraft = (values) => sessionStorage.setItem(PLACE, JSON.stringify(values));

/** Fills the form with what a picture was made of, and goes there. `image` is the API's whole one. */
export function againWith(image) {
  keepDraft({
    idea: image.prompt,
    verbatim: true,
    size: image.size ?? `${image.width}x${image.height}`,
    quality: image.quality,
    model: image.model,
    folder_name: image.folder,
    output_format: image.output_format,
    background: image.background,
  });
  location.hash = "#make";
}
