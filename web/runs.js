/** The view of the runs, newest first. */

import { button, el, fill, icon } from "./dom.js";
import { span, when } from "./format.js";
import { empty, failed, loading } from "./states.js";
import { STATUS, TITLES } from "./steps.js";

/** Shows the view. */
export async function show(main, { api, signal }) {
  const list = el("ul", { class: "rows" });
  const end = el("div", { class: "end" });
  let cursor = null;

  async function more() {
    fill(end, loading("Getting runs…"));
    try {
      const page = await api.runs({ limit: 20, cursor }, signal);
      cursor = page.cursor;
      const first = page.runs.map(row);
      list.append(...first);
      fill(end, cursor && button("More", async () => (await more())?.focus(), { class: "secondary" }));
      if (!list.children.length)
        fill(
          end,
          empty(
            "No runs yet",
            "Every click on Make is a run, and each can be watched here.",
            el("a", { href: "#make", role: "button" }, "Make a picture"),
          ),
        );
      return first[0]?.querySelector("a");
    } catch (error) {
      if (!signal.aborted) fill(end, failed(error, more));
    }
  }

  fill(
    main,
    el("h1", { tabindex: -1 }, "Runs"),
    el("p", { class: "lead" }, "Everything that was made, deleted or brought back."),
    list,
    end,
  );
  await more();
}

function row(run) {
  return el(
    "li",
    {},
    el("span", { class: `badge ${run.status}` }, STATUS[run.status] ?? run.status),
    el("a", { href: `#run/${encodeURIComponent(run.id)}`, class: "main" }, el("span", {}, run.title ?? TITLES[run.id.split("-")[0]] ?? run.id), el("small", {}, when(run.started))),
    el("span", { class: "facts" }, run.ended ? span(run.started, run.ended) : "under way"),
    el(
      "a",
      {
        href: run.console_url,
        target: "_blank",
        rel: "noopener noreferrer",
        class: "aside",
        "aria-label": `Run of ${when(run.started)} in the Step Functions console`,
      },
      icon("out"),
      el("span", {}, "Console"),
    ),
  );
}
