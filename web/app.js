/** Starts the page: settings, sign-in, and the view that the address names. */

import { arrive, isSamePlace, keep, parse, recall } from "./client/address.js";
import { makeApi, noAnswer } from "./client/api.js";
import { Session } from "./client/sign_in.js";
import { Who, onBudgetChanged, readMe, rightsOf } from "./parts/access.js";
import { Icon, html, render } from "./parts/elements.js";
import { say } from "./parts/notices.js";
import { Failed, Loading } from "./parts/placeholders.js";
import { Welcome } from "./views/welcome.js";

/** Each view's title, its module, and the entry of the navigation that it belongs to. */
const VIEWS = {
  make: ["Make", () => import("./views/make.js"), "make"],
  gallery: ["Gallery", () => import("./views/gallery.js"), "gallery"],
  deleted: ["Recently deleted", () => import("./views/deleted.js"), "gallery"],
  runs: ["Runs", () => import("./views/runs.js"), "runs"],
  batches: ["Batches", () => import("./views/batches.js"), "runs"],
  "new-batch": ["New batch", () => import("./views/new_batch.js"), "runs"],
  schedules: ["Schedules", () => import("./views/schedules.js"), "schedules"],
  spending: ["Spending", () => import("./views/spending.js"), "spending"],
  run: ["Run", () => import("./views/run.js"), "runs"],
  batch: ["Batch", () => import("./views/batch.js"), "runs"],
};

const main = document.getElementById("main");
const controls = document.getElementById("signed-in");
let leave = new AbortController(); // aborted when the view is left: ends its calls and timers
let session, api, config;
let me; // a promise of who is signed in

start();

async function start() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  main.replaceChildren();
  show(html`<h1>Easel</h1><${Loading}>Opening Easel…<//>`);
  try {
    config = await readConfig();
  } catch {
    return showFailure("Easel", noAnswer(), () => location.reload());
  }
  // Under another name of the same host (localhost), the sign-in would not find its way back.
  if (new URL(config.page_url).origin !== location.origin)
    return location.replace(config.page_url + location.hash);
  history.scrollRestoration = "manual"; // a view is drawn only after the browser would scroll
  session = new Session(config, showWelcome);
  api = makeApi(session, { onSignedOut: signedOut, shares: config.shares });
  const problem = await session.finish();
  const signOut = document.getElementById("sign-out");
  render(html`<${Icon} name="leave" /><span>Sign out</span>`, signOut);
  signOut.addEventListener("click", endSession);
  onBudgetChanged(readMeAgain);
  addEventListener("hashchange", () =>
    isSamePlace() ? dispatchEvent(new Event("easel:image")) : route(true),
  );
  await route(false, problem);
}

async function endSession() {
  const { mayDropDraft } = await import("./parts/sign_out_dialog.js");
  if (await mayDropDraft()) await session.end();
}

async function readConfig() {
  const response = await fetch("config.json");
  if (!response.ok) throw noAnswer();
  return response.json();
}

function show(content) {
  render(content, main);
}

function showFailure(title, error, onretry = () => route(true)) {
  show(html`<h1 tabindex="-1">${title}</h1><${Failed} error=${error} onretry=${onretry} />`);
}

function showWelcome(problem) {
  leave.abort();
  controls.hidden = true;
  document.title = "Easel";
  show(html`<${Welcome} onsignin=${beginSignIn} problem=${problem} />`);
}

async function beginSignIn() {
  try {
    await session.start();
  } catch {
    showWelcome({
      title: "The sign-in page cannot be reached",
      message: "It did not answer.",
      whatToDo: "Check your connection and try again.",
    });
  }
}

async function signedOut() {
  if (controls.hidden) return;
  await session.forget();
  const message = "Sign in again to continue where you were.";
  showWelcome({ title: "Your session has expired", message });
  main.querySelector("h1").focus();
  say("Your session has expired.");
}

/** Shows the view that the address names. `isMove` is false for the first one. */
async function route(isMove, problem) {
  let token;
  try {
    token = await session.token();
  } catch (error) {
    return showFailure("Easel", error);
  }
  if (!token) {
    // Another tab is signed in, so Cognito may know who this is.
    if (!problem && session.startSilently()) return;
    return showWelcome(problem);
  }
  if (isMove) keep("scroll", scrollY);
  const { path, query } = parse();
  const [name, ...rest] = path.split("/");
  const [title, load, entry] = Object.hasOwn(VIEWS, name) ? VIEWS[name] : VIEWS.make;
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const isBack = arrive();
  showNavigation(title, entry);
  try {
    show(html`<h1 tabindex="-1">${title}</h1><${Loading}>One moment…<//>`);
    const id = decodeURIComponent(rest.join("/"));
    await showView(await load(), { id, query, signal });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    showFailure(title, error instanceof TypeError ? noAnswer() : error);
  }
  // A view may have focused what comes next, such as the text of an edit.
  if (isMove && !signal.aborted && !main.querySelector(":focus:not(h1)")) {
    main.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, isBack ? (recall("scroll") ?? 0) : 0);
  }
}

/** Shows a view once it has loaded what it starts with. */
async function showView({ View, load }, place) {
  const context = { api, limits: config.request, ...place };
  const [loaded, who] = await Promise.all([load?.(context), readMeOnce()]);
  if (place.signal.aborted) return;
  show(html`<${View} ...${context} me=${who} loaded=${loaded} />`);
}

/** Returns who is signed in. Somebody with a budget sees in each view what is left of it. */
async function readMeOnce() {
  me ??= readMe(api).then(showMe);
  const who = await me;
  if (who.budget) readMeAgain();
  return who;
}

async function readMeAgain() {
  const known = await me;
  me = readMe(api, known).then(showMe);
}

function showMe(who) {
  Object.assign(api, rightsOf(who));
  render(html`<${Who} me=${who} />`, document.getElementById("who"));
  return who;
}

function showNavigation(title, entry) {
  controls.hidden = false;
  document.title = `${title} · Easel`;
  for (const link of controls.querySelectorAll("nav a")) {
    if (link.hash === `#${entry}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
