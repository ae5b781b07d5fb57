/** The view of deleted images that can be restored. */

import { day, daysUntil, many, topicOf, when } from "../client/format.js";
import { GoneError, report, restoreFolder, restoreImage } from "../parts/deletes.js";
import {
  Button,
  ButtonLink,
  Icon,
  html,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { note } from "../parts/notices.js";
import { Empty } from "../parts/placeholders.js";

export function View({ api, signal }) {
  const list = usePagedList(async (cursor, until) => {
    const page = await api.images({ status: "deleted", cursor, limit: 50 }, until);
    return { items: page.images, cursor: page.cursor };
  }, signal);
  const [rows, readMore] = useFocusOnMore(list);
  const restore = useRestore(api, signal, list, rows);
  const row = (image) => html`
    <${Row} key=${image.id} image=${image} onrestore=${api.mayMake && (() => restore(image))} />
  `;
  return html`
    <div class="heading">
      <h1 tabindex="-1">Recently deleted</h1>
      <a href="#gallery"><${Icon} name="back" />Gallery</a>
    </div>
    <div>${api.mayMake && html`<${Folders} images=${list.items} api=${api} />`}</div>
    <ul class="rows" ref=${rows}>${list.items.map(row)}</ul>
    <div class="end">
      <${ListEnd}
        list=${list} loading="Loading deleted pictures…" more="More" readMore=${readMore}
      >
        <${Empty} title="Nothing was deleted" text="Deleted pictures are kept here for some time.">
          <${ButtonLink} href="#gallery">Back to the gallery<//>
        <//>
      <//>
    </div>
  `;
}

/** Returns a function that restores an image. It resolves to false if the image is gone permanently. */
function useRestore(api, signal, list, rows) {
  const restoring = useRef(0);
  const toFocus = useRef(null); // the index of a row whose neighbour gets the focus
  useLayoutEffect(() => {
    if (toFocus.current === null) return;
    const all = rows.current.children;
    const row = all[Math.min(toFocus.current, all.length - 1)];
    toFocus.current = null;
    (row?.querySelector("button") ?? document.querySelector("main h1")).focus();
  });
  useEffect(() => {
    // A restore of this view takes its own row away.
    const readAgain = () => restoring.current || list.restart();
    addEventListener("easel:pictures", readAgain, { signal });
  }, []);

  return async (image) => {
    restoring.current += 1;
    try {
      await restoreImage(api, image);
      const index = list.items.findIndex(({ id }) => id === image.id);
      const row = rows.current?.children[index];
      if (row?.contains(document.activeElement)) toFocus.current = index;
      list.remove(image);
      note(`${image.title ? `“${image.title}”` : "The picture"} is restored to the gallery.`);
      return true;
    } catch (error) {
      report("The picture could not be restored.", error);
      return !(error instanceof GoneError);
    } finally {
      restoring.current -= 1;
    }
  };
}

function Row({ image, onrestore }) {
  const [isRestoring, setRestoring] = useState(false);
  const [isGone, setGone] = useState(false);
  const name = image.title || "Untitled";
  const ratio = image.width && image.height ? image.width / image.height : 1;
  async function restore() {
    if (isRestoring) return;
    setRestoring(true);
    setGone(!(await onrestore()));
    setRestoring(false);
  }
  return html`
    <li>
      <span class="shape" aria-hidden="true" style=${{ "--ratio": ratio }}></span>
      <div class="main">
        <strong>${name}</strong>
        <small>${[image.folder, topicOf(image), image.model].filter(Boolean).join(" · ")}</small>
      </div>
      <span class="facts">
        <span>Deleted ${when(image.deleted_at)}</span>
        ${image.recoverable_until && html`<${TimeLeft} until=${image.recoverable_until} />`}
      </span>
      ${isGone
        ? html`<span class="wrong">Removed permanently</span>`
        : onrestore &&
          html`
            <${Button}
              onclick=${restore}
              icon="back"
              class="secondary"
              aria-label="Restore ${name}"
              aria-disabled=${isRestoring ? "true" : null}
            >
              ${isRestoring ? "Restoring…" : "Restore"}
            <//>
          `}
    </li>
  `;
}

function TimeLeft({ until }) {
  const days = daysUntil(until);
  return html`
    <span class=${days < 3 ? "wrong" : null}>
      ${days > 0 ? `${many(days, "day")} left, until ${day(until)}` : `Until today, ${when(until)}`}
    </span>
  `;
}

/** The folders with several images on the list, which would be tedious to restore one by one. */
function Folders({ images, api }) {
  const byFolder = Map.groupBy(images, ({ folder }) => folder);
  const names = [...byFolder.keys()].filter((name) => byFolder.get(name).length > 1);
  if (!names.length) return null;
  const restore = (name) => html`
    <li>
      <${Button} onclick=${() => restoreFolder(api, name)} icon="back" class="secondary">
        Restore ${name}
      <//>
    </li>
  `;
  return html`
    <section class="folders" aria-labelledby="whole">
      <h2 id="whole">Whole folders</h2>
      <ul class="chips-row">${names.map(restore)}</ul>
    </section>
  `;
}
