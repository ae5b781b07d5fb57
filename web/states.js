/** What stands where there is nothing to show yet: loading, empty, failed, signed out. Each says the way on. */

import { el, icon, button } from "./dom.js";

export const loading = (text) =>
  el("p", { class: "state loading", role: "status" }, el("span", { class: "spinner", "aria-hidden": "true" }), text);

/** Nothing here, and what to do about it. */
export const empty = (title, text, ...actions) =>
  el(
    "div",
    { class: "state" },
    el("img", { src: "web/favicon.svg", alt: "", width: 56, height: 56 }),
    el("h2", {}, title),
    el("p", {}, text),
    el("div", { class: "row" }, actions),
  );

/** What failed, in the API's own words, and what to do. */
export function failed(error, retry, words = "Try again") {
  return el(
    "div",
    { class: "state failed", role: "alert" },
    el("h2", {}, icon("info"), error.title ?? "Something failed"),
    el("p", {}, error.message),
    error.whatToDo && el("p", {}, error.whatToDo),
    retry && el("div", { class: "row" }, button(words, retry, { icon: "again" })),
  );
}

/** The page before sign-in. `problem` is what the last try said. */
export function welcome(signIn, problem) {
  return el(
    "div",
    { class: "welcome" },
    el(
      "div",
      {},
      el("h1", { tabindex: -1 }, "Pictures from your ideas, each with its price"),
      el(
        "p",
        { class: "lead" },
        "Give Easel a topic or an idea of your own. A chat model writes the prompt, an image model paints it, and the picture lands in your gallery with all that is known about it.",
      ),
      problem &&
        el(
          "div",
          { class: "callout failed", role: "alert" },
          el("strong", {}, problem.title),
          el("p", {}, problem.message),
          problem.whatToDo && el("p", {}, problem.whatToDo),
        ),
      button("Sign in", signIn, { class: "big", icon: "leave" }),
      el(
        "ul",
        { class: "promises" },
        ["The price stands there before you click", "Never paid twice in silence", "Deleted pictures can be had back for 30 days"].map(
          (line) => el("li", {}, icon("check"), line),
        ),
      ),
    ),
    el("img", { src: "web/welcome.svg", alt: "", width: 640, height: 520 }),
  );
}
