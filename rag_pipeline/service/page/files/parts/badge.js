/** What came of something, by a sign and in words: colour only repeats it. */

import { h } from "/page/dom.js";
import { percent, stateOf, statusOf } from "/page/words.js";

/** How far an answer is grounded, and how sure that is. */
export function stateBadge(state, confidence = null) {
  const { sign, words, means } = stateOf(state);
  const sure =
    confidence === null || confidence === undefined
      ? null
      : h("span", { class: "sure" }, `${percent(confidence)} sure`);
  return h(
    "span",
    { class: `badge ${state}`, title: means },
    h("span", { "aria-hidden": "true" }, sign),
    ` ${words}`,
    sure,
  );
}

/** How an exchange or a run ended. */
export function statusBadge(status) {
  const { sign, words } = statusOf(status);
  return h("span", { class: `badge ${status}` }, h("span", { "aria-hidden": "true" }, sign), ` ${words}`);
}

/** The state of an exchange that has an answer, else its status. */
export function outcome({ state, status, confidence }) {
  return state ? stateBadge(state, confidence) : statusBadge(status);
}
