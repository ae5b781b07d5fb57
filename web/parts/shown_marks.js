/** Keeps the marks of shown images up to date, wherever on the page they are changed. */

import { watchMarks } from "../client/marks.js";
import { useEffect, useReducer, useRef } from "./elements.js";

/** Applies changed marks to these images, and draws the component again. */
export function useMarks(images) {
  const [, redraw] = useReducer((number) => number + 1, 0);
  const latest = useRef();
  latest.current = images;
  useEffect(() => {
    const left = new AbortController();
    watchMarks((changes) => {
      for (const image of latest.current) Object.assign(image, changes.get(image.id));
      redraw();
    }, left.signal);
    return () => left.abort();
  }, []);
}
