/** Loads stylesheets that the first view does not need. */

const loaded = new Map(); // promises by address

/** Resolves once a stylesheet is loaded, or could not be loaded: the view works without it. */
export function loadStyle(href) {
  if (!loaded.has(href)) {
    const link = document.createElement("link");
    const ready = new Promise((resolve) => (link.onload = link.onerror = resolve));
    Object.assign(link, { rel: "stylesheet", href });
    document.head.append(link);
    loaded.set(href, ready);
  }
  return loaded.get(href);
}

/** The style of the lists under Runs, and of a new batch. */
export const loadListStyle = () => loadStyle("web/styles/lists.css");
