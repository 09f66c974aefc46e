/** What stands where there is nothing to show: still loading, empty, or gone wrong. */

import { h } from "/page/dom.js";

const REMEDIES = {
  0: "Start it again, then try once more.",
  401: "Give the key that the service was started with.",
  403: "The key that you gave does not allow it.",
  404: "It may have been removed, or you may not read it.",
  409: "Another ingestion is at work. Try again when it is done.",
  413: "Send less at once.",
  429: "Many people are asking at once. Try again in a moment.",
  500: "Its log says what happened.",
  503: "A model or the database is not ready. `rag doctor` in a shell says more.",
};

export function loading(words = "Loading …") {
  return h("p", { class: "loading", "aria-busy": "true" }, words);
}

/** Nothing is there: what that means, and what to do next. */
export function empty(heading, ...children) {
  return h("div", { class: "notice empty" }, h("h2", {}, heading), ...children);
}

/** A command to type into a shell. */
export function command(words) {
  return h("pre", { class: "command", tabindex: 0, "aria-label": "Command" }, words);
}

/** An error in words, what to do about it, and a way to do it. */
export function problem(error, retry = null) {
  const wait = error.retryAfter ? ` The service asks to wait ${error.retryAfter} s.` : "";
  return h(
    "div",
    { class: "notice problem", role: "alert" },
    h("p", {}, h("strong", {}, "That did not work: "), error.message),
    h("p", {}, (REMEDIES[error.status] ?? "") + wait),
    retry && h("button", { type: "button", onclick: retry }, "Try again"),
  );
}

/** Whether `error` only says that somebody stopped waiting. */
export function isAborted(error) {
  return error.name === "AbortError";
}
