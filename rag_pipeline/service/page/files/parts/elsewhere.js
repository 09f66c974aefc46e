/** The views of the history, and which of them this is. */

import { h } from "/page/dom.js";
import { address } from "/page/route.js";

const VIEWS = [
  ["history", "Exchanges"],
  ["conversations", "Conversations"],
  ["statistics", "Statistics"],
];

export function elsewhere(here) {
  return h(
    "nav",
    { class: "tabs", "aria-label": "History" },
    VIEWS.map(([view, words]) =>
      h("a", { href: address(view), "aria-current": view === here ? "page" : null }, words),
    ),
  );
}
