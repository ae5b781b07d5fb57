/** Starts the page: settings, sign-in, and the view that the address names. */

import { makeApi, noAnswer } from "./api.js";
import { el, fill, icon, set } from "./dom.js";
import { say } from "./notices.js";
import { makeSession } from "./sign_in.js";
import { failed, loading, welcome } from "./states.js";

const VIEWS = {
  make: ["Make", () => import("./make.js")],
  gallery: ["Gallery", () => import("./gallery.js")],
  deleted: ["Recently deleted", () => import("./deleted.js")],
  runs: ["Runs", () => import("./runs.js")],
  run: ["Run", () => import("./watch.js")],
};
const BELONGS_TO = { deleted: "gallery", run: "runs" };

const main = document.getElementById("main");
const controls = document.getElementById("signed-in");
let leave = new AbortController(); // aborted when the view is left: ends its calls and timers
let session, api;

start();

async function start() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  let config;
  try {
    const answer = await fetch("config.json");
    if (!answer.ok) throw noAnswer();
    config = await answer.json();
  } catch {
    return fill(
      main,
      el("h1", {}, "Easel"),
      failed(noAnswer(), () => location.reload()),
    );
  }
  // Another name of the same host (localhost) would lose the sign-in on its way back.
  if (new URL(config.page_url).origin !== location.origin) return location.replace(config.page_url + location.hash);
  session = makeSession(config);
  api = makeApi(session, signedOut);
  const problem = await session.finish();
  document.getElementById("sign-out").append(icon("leave"), el("span", {}, "Sign out"));
  document.getElementById("sign-out").addEventListener("click", () => session.end());
  addEventListener("hashchange", () => route(true));
  await route(false, problem);
}

function showWelcome(problem) {
  leave.abort();
  controls.hidden = true;
  document.title = "Easel";
  fill(main, welcome(begin, problem));
}

async function begin() {
  try {
    await session.start();
  } catch {
    showWelcome({
      title: "The sign-in page can't be reached",
      message: "No answer came from it.",
      whatToDo: "Check your connection and try again.",
    });
  }
}

async function signedOut() {
  if (controls.hidden) return;
  await session.forget();
  showWelcome({ title: "Your sign-in has ended", message: "Sign in again and go on where you were." });
  main.querySelector("h1").focus();
  say("Your sign-in has ended.");
}

async function route(moved, problem) {
  const token = await session.token().catch((error) => error);
  if (token instanceof Error)
    return fill(
      main,
      el("h1", { tabindex: -1 }, "Easel"),
      failed(token, () => route(true)),
    );
  if (!token) return showWelcome(problem);
  const [path, query] = location.hash.slice(1).split("?");
  const [wanted, ...rest] = path.split("/");
  const name = Object.hasOwn(VIEWS, wanted) ? wanted : "make";
  const [title, load] = VIEWS[name];
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  controls.hidden = false;
  document.title = `${title} · Easel`;
  for (const link of controls.querySelectorAll("nav a")) set(link, "aria-current", link.hash === `#${BELONGS_TO[name] ?? name}` && "page");
  try {
    fill(main, el("h1", { tabindex: -1 }, title), loading("One moment…"));
    const view = await load();
    if (signal.aborted) return;
    await view.show(main, { api, signal, id: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    fill(
      main,
      el("h1", { tabindex: -1 }, title),
      failed(error instanceof TypeError ? noAnswer() : error, () => route(true)),
    );
  }
  if (moved && !signal.aborted) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
}
