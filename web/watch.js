/** The view of one run: its steps as they go, its pictures as they come, and what can be done about it. */

import { button, el, fill, icon, set } from "./dom.js";
import { follow } from "./follow.js";
import { many, money, span, upTo, when } from "./format.js";
import { note, say } from "./notices.js";
import { failed } from "./states.js";
import { STATUS, TITLES, changes, drawSteps } from "./steps.js";
import { makeGrid } from "./tiles.js";

// Where the run has ended without it, the picture waits for "Go on".
const WAITING = { claimed: "Not painted yet", staged: "Painted, not in the gallery yet" };
const SLOTS = {
  claimed: "Being painted",
  staged: "Painted, on its way to the gallery",
  refused: "Refused by OpenAI's moderation",
  lost: "Lost",
  bad: "What came is no picture",
  deleted: "Deleted",
};

/** Shows the view; it lives in the address, so a reload goes on. */
export async function show(main, { api, signal, id }) {
  const title = el("h1", { tabindex: -1 }, "Run");
  const badge = el("span", { class: "badge" });
  const facts = el("p", { class: "facts" });
  const words = el("blockquote", { hidden: true });
  const steps = el("ol", { class: "steps" });
  const elapsed = el("span");
  const fault = el("div");
  const actions = el("div", { class: "row" });
  const link = el("p");
  const pictures = el("section", { class: "pictures", "aria-label": "Pictures" });
  const grid = makeGrid({ api, signal, show: "picture" });
  const trouble = el("p", { class: "wrong", role: "status" });
  let run = null;
  let turn = 0; // a redrive starts to follow anew

  function draw(now) {
    const said = changes(run, now);
    const before = run;
    run = now;
    if (said) say(said);
    const name = run.title || run.topic || TITLES[run.action] || "A new picture";
    title.textContent = name;
    document.title = `${STATUS[run.status]}: ${name} · Easel`;
    fill(badge, STATUS[run.status]);
    set(badge, "class", `badge ${run.status}`);
    tick();
    drawFacts();
    const prompt = run.prompt?.trim();
    words.hidden = !prompt;
    words.textContent = prompt ?? "";
    if (changed(before, "error", "status")) {
      fill(
        fault,
        run.error &&
          el(
            "div",
            { class: "callout failed" },
            el("strong", {}, run.error.error),
            el("p", {}, run.error.message),
            run.error.what_to_do && el("p", {}, run.error.what_to_do),
          ),
      );
    }
    if (changed(before, "can_redrive", "can_stop", "status")) drawActions();
    if (changed(before, "pictures", "count", "status")) drawPictures();
    if (!before)
      fill(
        link,
        el("a", { href: run.console_url, target: "_blank", rel: "noopener noreferrer" }, icon("out"), "Open in the Step Functions console"),
      );
  }

  /** Whether any of these is other than before: only then are its elements built anew, so the focus stays. */
  const changed = (before, ...names) => !before || names.some((name) => JSON.stringify(before[name], noLinks) !== JSON.stringify(run[name], noLinks));
  // Each answer signs its links anew: that is no change, and no reason to load the pictures again.
  const noLinks = (name, value) => (name === "links" ? Boolean(value) : value);

  function drawFacts() {
    const cost =
      run.cost_usd != null
        ? `Cost ${money(run.cost_usd)}`
        : run.estimate_usd != null && run.status === "running" && `Up to ${upTo(run.estimate_usd)}`;
    const paid = run.possibly_paid > 0 && `${many(run.possibly_paid, "purchase")} with an unknown outcome`;
    const objects = run.objects != null && `${many(run.objects, "object")} found`;
    const dry = run.dry_run && "An estimate: nothing is bought";
    fill(
      facts,
      [elapsed, `Started ${when(run.started)}`, dry, cost, paid, objects]
        .filter(Boolean)
        .map((fact) => (fact === elapsed ? elapsed : el("span", {}, fact))),
    );
  }

  function tick() {
    if (!run) return;
    elapsed.textContent = span(run.started, run.ended);
    fill(steps, drawSteps(run));
  }

  function drawActions() {
    let armed = false;
    const stop = button(
      "Stop",
      () => {
        if (!armed) {
          armed = true;
          stop.lastChild.textContent = "Stop for sure? What is bought stays bought";
          return setTimeout(() => ((armed = false), (stop.lastChild.textContent = "Stop")), 6000);
        }
        act(() => api.stop(run.id), "Stopping.");
      },
      { class: "secondary", icon: "stop" },
    );
    const goOn = button("Go on", () => act(() => api.redrive(run.id), "Going on. Only what is missing is paid."), { icon: "play" });
    fill(
      actions,
      run.can_stop && stop,
      run.can_redrive && goOn,
      run.status !== "running" && run.action === "create" && el("a", { href: "#make", role: "button", class: "secondary" }, "Make another"),
    );
  }

  async function act(call, said) {
    try {
      const now = await call();
      say(said);
      // A run whose time for a redrive is over goes on under another name.
      if (now.id !== run.id) return (location.hash = `#run/${encodeURIComponent(now.id)}`);
      draw(now);
      await keepFollowing();
    } catch (error) {
      if (!signal.aborted) note(`${error.message} ${error.whatToDo ?? ""}`, { failed: true });
    }
  }

  function drawPictures() {
    if (run.action !== "create") return fill(pictures);
    const stored = run.pictures.filter(({ links }) => links).map((picture) => ({ title: run.title, topic: run.topic, ...picture }));
    const running = run.status === "running";
    const known = running ? 1 : 0; // of a run that ended before its prompt was written, nothing is wanted
    const waiting = run.status === "succeeded" ? 0 : Math.max(0, (run.count ?? known) - run.pictures.length);
    const slots = run.pictures.filter(({ links }) => !links);
    grid.hang(stored, [
      slots.map((picture) =>
        el(
          "li",
          { class: `slot ${picture.status}` },
          el(
            "p",
            {},
            (!running && WAITING[picture.status]) || SLOTS[picture.status] || picture.status,
            picture.refusal && el("small", {}, picture.refusal),
            picture.problem && el("small", {}, picture.problem),
          ),
        ),
      ),
      Array.from({ length: waiting }, () => el("li", { class: "slot claimed" }, el("p", {}, running ? "Waiting for its turn" : WAITING.claimed))),
    ]);
    if (grid.element.children.length && !grid.element.isConnected) pictures.append(grid.element);
  }

  async function keepFollowing() {
    const mine = ++turn;
    for await (const now of follow(
      api,
      id,
      signal,
      (error) => (trouble.textContent = error ? `${error.message} Easel keeps trying; the run goes on.` : ""),
    )) {
      if (mine !== turn) return;
      draw(now);
    }
  }

  const first = await api.run(id, signal);
  fill(
    main,
    el("div", { class: "heading" }, title, badge),
    facts,
    el("div", { class: "watch" }, el("section", { "aria-label": "Progress" }, steps, fault, trouble, actions, link, words), pictures),
  );
  draw(first);
  const timer = setInterval(() => run.status === "running" && !document.hidden && tick(), 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  if (first.status === "running") {
    keepFollowing().catch(
      (error) =>
        signal.aborted ||
        fill(
          fault,
          failed(error, () => location.reload()),
        ),
    );
  }
}
