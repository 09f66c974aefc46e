/** Conversations: those that began last first. */

import { h, title } from "/page/dom.js";
import { outcome } from "/page/parts/badge.js";
import { elsewhere } from "/page/parts/elsewhere.js";
import { listing } from "/page/parts/listing.js";
import { empty } from "/page/parts/notice.js";
import { address } from "/page/route.js";
import { count, when } from "/page/words.js";

export function conversationsView(route, signal) {
  const list = listing({
    path: "/api/sessions",
    query: { user: route.query.get("user") },
    row: entry,
    none: () => empty("There is no conversation yet", h("p", {}, "Questions asked one after the other make one.")),
    signal,
    label: "Conversations",
  });
  const element = h("div", { class: "page" }, title("Conversations"), elsewhere("conversations"), list);
  return { element, title: "Conversations" };
}

function entry({ session, user, prompts, first_at: first, last_at: last, ...end }) {
  const times = first === last ? when(first) : `${when(first)} to ${when(last)}`;
  return h(
    "a",
    { class: "entry", href: address("history", null, { session, user }), "data-item": true },
    h("span", { class: "name" }, end.last_question),
    h(
      "span",
      { class: "facts" },
      outcome({ status: end.last_status, state: end.last_state }),
      h("span", { class: "hint" }, [count(prompts, "exchange"), times, user, session].join(" · ")),
    ),
  );
}
