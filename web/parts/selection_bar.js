/** The bar of the gallery that acts on the selected images. */

import { explain } from "../client/api.js";
import { many } from "../client/format.js";
import { MOST, changeImages } from "../client/mark_changes.js";
import { actOnImages, failuresIn } from "../client/many_images.js";
import { CompareSelected } from "./comparison.js";
import { report } from "./deletes.js";
import { Button, html, useState } from "./elements.js";
import { nameOf } from "./mark_buttons.js";
import { moveImages } from "./moves.js";
import { announceImagesChanged, note, say } from "./notices.js";
import { Question } from "./selection_questions.js";
import { ZipDownload } from "./zip_download.js";

const WAITING_SECONDS = 900; // longer than any run of this bar takes

/** `list` holds the images that are shown, and `api` is the API. */
export function SelectionBar({ selection, list, api }) {
  const [question, ask] = useState(null);
  const [busy, setBusy] = useState("");
  const [trouble, setTrouble] = useState(null); // { title, failures, message }
  const images = selection.all;
  const count = images.length;
  const what = many(count, "picture");

  /** Shows `words` while something is done. */
  async function act(words, run) {
    setTrouble(null);
    setBusy(words);
    try {
      await run();
    } finally {
      setBusy("");
    }
  }

  const noteFailure = (title) => (error) => {
    const failures = failuresIn(error, images);
    setTrouble({ title, failures, message: failures.length ? "" : explain(error) });
    announceImagesChanged();
  };

  const change = (words, done, body) =>
    act(words, async () => {
      try {
        const shown = images.filter(({ hidden }) => !hidden);
        const failures = await changeImages(api, images, body);
        if (failures.length)
          setTrouble({ title: `${many(failures.length, "picture")} could not be changed`, failures });
        say(`${many(count - failures.length, "picture")} ${done}.`);
        selection.select(failures.map(({ image }) => image));
        const rejected = body.hidden ? shown.filter(({ hidden }) => hidden) : [];
        if (rejected.length) noteRejected(rejected);
      } catch (error) {
        noteFailure(`${what} could not be changed`)(error);
      }
    });

  /** Starts a run for all images. `onend` shows its outcome. */
  const run = (action, words, title, onend) =>
    act(words, async () => {
      try {
        await actOnImages(api, images, action);
        selection.select([]);
        await onend();
      } catch (error) {
        noteFailure(title)(error);
        list.restart();
      }
    });

  const answers = {
    tag: (tags) => change("Adding tags…", "tagged", { add_tags: tags }),
    untag: (tags) => change("Removing tags…", "changed", { remove_tags: tags }),
    favourite: () => change("One moment…", "marked as favourites", { favourite: true }),
    unfavourite: () => change("One moment…", "changed", { favourite: false }),
    reject: () => change("Rejecting…", "rejected", { hidden: true }),
    move: (folder) =>
      act("Moving…", async () => {
        const onfailed = noteFailure(`Some of ${what} could not be moved`);
        if (await moveImages(api, images, folder, { onfailed })) selection.select([]);
        else list.restart();
      }),
    share: () => run("share", "Sharing…", `Some of ${what} could not be shared`, noteShared),
    unshare: () => run("unshare", "One moment…", `Some of ${what} are still shared`, noteShared),
    delete: () => run("delete", "Deleting…", `Some of ${what} could not be deleted`, noteDeleted),
  };

  function noteRejected(rejected) {
    const undo = () => changeImages(api, rejected, { hidden: false });
    note(`${many(rejected.length, "picture")} rejected, and hidden in the gallery.`, {
      action: "Undo",
      onaction: () => undo().catch((error) => report("The pictures are still rejected.", error)),
    });
  }

  async function noteShared() {
    await list.restart();
    note(`Sharing changed for ${what}.`);
  }

  function noteDeleted() {
    const { signal } = list; // another one once other images are shown
    list.change(new Map(images.map(({ id }) => [id, {}])), () => false);
    announceImagesChanged();
    note(`${what} deleted. They stay under Recently deleted for some time.`, {
      action: "Undo",
      onaction: () => restore(() => list.signal === signal),
      focus: true,
    });
  }

  async function restore(isSameList) {
    const close = note(`Restoring ${what}…`, { seconds: WAITING_SECONDS });
    try {
      await actOnImages(api, images, "restore");
      if (isSameList())
        for (const image of images) list.putBack(Object.assign(image, { links: null }));
      announceImagesChanged();
      note(`${what} restored.`);
    } catch (error) {
      report(`Some of ${what} could not be restored.`, error);
      announceImagesChanged();
    }
    close();
  }

  const isTooMany = count > MOST;
  /** A button of an action that changes the images. */
  const button = (icon, words, name, more = {}) => api.mayMake && html`
    <${Button}
      onclick=${() => start(name)}
      icon=${icon}
      class=${more.class ?? "secondary"}
      aria-disabled=${busy || !count || isTooMany ? "true" : null}
    >
      ${words}
    <//>
  `;
  function start(name) {
    if (busy) return;
    if (!count) return say("Select some pictures first.");
    if (isTooMany) return say(tooMany);
    if (name === "favourite" || name === "unfavourite" || name === "reject") answers[name]();
    else ask(name);
  }
  const tooMany = `Select at most ${MOST.toLocaleString("en-US")} pictures. ${what} are selected.`;
  const areFavourites = count > 0 && images.every((image) => image.favourite);
  return html`
    <section class="selection" aria-label="Selected pictures">
      ${trouble && html`<${Trouble} ...${trouble} onclose=${() => setTrouble(null)} />`}
      ${isTooMany && html`<p class="wrong" role="alert">${tooMany}</p>`}
      <div class="row">
        <strong role="status">${busy || `${count.toLocaleString("en-US")} selected`}</strong>
        <${Button} onclick=${() => selection.select(list.items)} class="quiet" icon="select">
          Select all ${list.items.length} shown
        <//>
        ${areFavourites
          ? button("star", "Remove from favourites", "unfavourite")
          : button("star", "Favourite", "favourite")}
        ${button("tag", "Tag…", "tag")} ${button("folder", "Move to…", "move")}
        <${CompareSelected} images=${images} api=${api} />
        <${ZipDownload} images=${images} api=${api} isBusy=${Boolean(busy)} />
        ${api.shares && button("out", "Share…", "share")} ${button("hide", "Reject", "reject")}
        ${button("bin", "Delete…", "delete", { class: "secondary danger" })}
        <${Button} onclick=${() => selection.turn(false)} class="quiet" icon="cross">Done<//>
      </div>
      ${question &&
      html`
        <${Question}
          name=${question} what=${what} api=${api} answers=${answers} onclose=${() => ask(null)}
        />
      `}
    </section>
  `;
}

function Trouble({ title, failures, message, onclose }) {
  return html`
    <div class="callout failed" role="alert">
      <strong>${title}</strong>
      ${message && html`<p>${message}</p>`}
      <ul>
        ${failures.map(
          ({ image, reason }) => html`
            <li key=${image.id}>
              <a href="#gallery?${new URLSearchParams({ image: image.id })}">${nameOf(image)}</a>:
              ${" "}${reason}
            </li>
          `,
        )}
      </ul>
      <${Button} onclick=${onclose} class="quiet">Dismiss<//>
    </div>
  `;
}
