/** Which images of a list are selected. */

export class Selection {
  isOn = false; // whether a click on an image selects it
  images = new Map(); // by id
  #last = null; // the id that was clicked last, where a range begins

  /** `onchange` is called on every change. */
  constructor(onchange) {
    this.onchange = onchange;
  }

  get all() {
    return [...this.images.values()];
  }

  has({ id }) {
    return this.images.has(id);
  }

  /** Selects an image or takes it out; with `toThere`, all from the last one that was clicked. */
  toggle(image, shown, { toThere }) {
    const isSelected = !this.has(image);
    const ends = [this.#last, image.id].map((id) => shown.findIndex((other) => other.id === id));
    const isRange = toThere && ends[0] >= 0;
    const range = isRange ? shown.slice(Math.min(...ends), Math.max(...ends) + 1) : [image];
    for (const each of range)
      if (isSelected) this.images.set(each.id, each);
      else this.images.delete(each.id);
    this.#last = image.id;
    this.onchange();
  }

  /** Selects exactly these images. */
  select(images) {
    this.images = new Map(images.map((image) => [image.id, image]));
    this.#last = null;
    this.onchange();
  }

  turn(isOn) {
    this.isOn = isOn;
    this.select([]);
  }
}
