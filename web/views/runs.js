/** The view of the runs, newest first. */

import { span, when } from "../client/format.js";
import { ButtonLink, OutsideLink, html } from "../parts/elements.js";
import { ListEnd, useFocusOnMore, usePagedList } from "../parts/list_end.js";
import { Empty } from "../parts/placeholders.js";
import { STATUS, TITLES } from "../parts/run_steps.js";

export function View({ api, signal }) {
  const list = usePagedList(async (cursor, until) => {
    const page = await api.runs({ limit: 20, cursor }, until);
    return { items: page.runs, cursor: page.cursor };
  }, signal);
  const [rows, readMore] = useFocusOnMore(list);
  return html`
    <h1 tabindex="-1">Runs</h1>
    <p class="lead">History of everything created, deleted and restored.</p>
    <ul class="rows" ref=${rows}>
      ${list.items.map((run) => html`<${Row} key=${run.id} run=${run} />`)}
    </ul>
    <div class="end">
      <${ListEnd} list=${list} loading="Loading runs…" more="More" readMore=${readMore}>
        <${Empty}
          title="No runs yet"
          text="Each click on Make starts a run. You can follow it here."
        >
          <${ButtonLink} href="#make">Make a picture<//>
        <//>
      <//>
    </div>
  `;
}

function Row({ run }) {
  const label = `Run of ${when(run.started)} in the Step Functions console`;
  // The id of a run that creates no images begins with its action.
  const title = run.title ?? TITLES[run.id.split("-")[0]] ?? run.id;
  return html`
    <li>
      <span class="badge ${run.status}">${STATUS[run.status] ?? run.status}</span>
      <a href="#run/${encodeURIComponent(run.id)}" class="main">
        <span>${title}</span><small>${when(run.started)}</small>
      </a>
      <span class="facts">${run.ended ? span(run.started, run.ended) : "running"}</span>
      <${OutsideLink} href=${run.console_url} class="aside" aria-label=${label}>
        <span>Console</span>
      <//>
    </li>
  `;
}
