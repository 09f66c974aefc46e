/** History: what was asked and answered, how it went over time, and what people thought of it. */

import { get } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { outcome } from "/page/parts/badge.js";
import { bucketOf, continuous } from "/page/parts/buckets.js";
import { answersOverTime, scoresOverTime } from "/page/parts/chart.js";
import { elsewhere } from "/page/parts/elsewhere.js";
import { choice, field, values } from "/page/parts/form.js";
import { listing } from "/page/parts/listing.js";
import { empty, isAborted, problem } from "/page/parts/notice.js";
import { address } from "/page/route.js";
import { percent, stateNames, stateOf, when } from "/page/words.js";

const STATES = [["", "Any"], ...stateNames.map((name) => [name, stateOf(name).words])];
const RARER = ["since", "until", "status", "user", "session", "tag", "category", "where"];
const STATUSES = [
  ["", "Any"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["cancelled", "Stopped"],
  ["started", "Not finished"],
];

export function historyView(route, signal) {
  const { by = "day", ...asked } = Object.fromEntries(route.query);
  const list = listing({
    path: "/api/prompts",
    query: asked,
    row: entry,
    none: () => nothing(Object.values(asked).some(Boolean)),
    signal,
    label: "Exchanges",
  });
  const element = h(
    "div",
    { class: "page" },
    title("History"),
    elsewhere("history"),
    filters({ by, ...asked }),
    plots(by, asked, signal),
    list,
  );
  return { element, title: "History" };
}

function filters(asked) {
  const look = (event) => {
    event.preventDefault();
    location.hash = address("history", null, values(event.currentTarget));
  };
  const form = h(
    "form",
    {
      class: "filters",
      role: "search",
      onsubmit: look,
      onchange: (event) => event.target.matches("select") && form.requestSubmit(),
    },
    field("Words", h("input", { name: "q", type: "search", value: asked.q ?? "", "data-search": true })),
    field("State", choice("state", STATES, asked.state)),
    h("button", {}, "Search"),
    rarer(asked),
  );
  return form;
}

/** Filters that are out of the way until somebody needs them. */
function rarer(asked) {
  const isSet = RARER.some((name) => asked[name]) || asked.by !== "day";
  return h(
    "details",
    { open: isSet },
    h("summary", {}, "More filters"),
    h(
      "div",
      { class: "more" },
      field("From", h("input", { name: "since", type: "date", value: asked.since ?? "" })),
      field("To", h("input", { name: "until", type: "date", value: asked.until ?? "" })),
      field("Ended", choice("status", STATUSES, asked.status)),
      field("User", h("input", { name: "user", value: asked.user ?? "", autocomplete: "off" })),
      field("Session", h("input", { name: "session", value: asked.session ?? "", autocomplete: "off" })),
      field("Tag", h("input", { name: "tag", value: asked.tag ?? "", autocomplete: "off" })),
      field("Category", h("input", { name: "category", value: asked.category ?? "", autocomplete: "off" })),
      field(
        "Plots by",
        choice(
          "by",
          [
            ["day", "Day"],
            ["week", "Week"],
            ["month", "Month"],
          ],
          asked.by,
        ),
      ),
      h("div", { class: "wide" }, field("Filter", written(asked.where))),
    ),
  );
}

/** The same language as `--where` has in a shell. */
function written(where = "") {
  return h("input", {
    name: "where",
    value: where,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "rating < 0.5 and not model = 'extractive'",
  });
}

function plots(by, asked, signal) {
  const element = h("div", { class: "plots" });
  const load = async () => {
    try {
      const { groups } = await get("/api/stats", { by, ...asked }, signal);
      const drawn = continuous(groups.map(bucketOf), by);
      fill(element, drawn.length > 0 && [answersOverTime(drawn, by), scoresOverTime(drawn, by)]);
    } catch (error) {
      if (!isAborted(error)) fill(element, problem(error, load));
    }
  };
  load();
  return element;
}

function entry(exchange) {
  const { prompt_id: id, question, answer, user, session, created_at: asked, rating } = exchange;
  return h(
    "a",
    { class: "entry", href: address("history", id), "data-item": true },
    h("span", { class: "name" }, question),
    answer && h("span", { class: "passage" }, answer),
    h(
      "span",
      { class: "facts" },
      outcome(exchange),
      rating !== null && rating !== undefined && h("span", { class: "hint" }, `rated ${percent(rating)}`),
      h("span", { class: "hint" }, [when(asked), user, session].filter(Boolean).join(" · ")),
    ),
  );
}

function nothing(isFiltered) {
  if (isFiltered)
    return empty(
      "Nothing fits",
      h("p", {}, "Widen the dates or take a filter away."),
      h("a", { class: "button", href: "#/history" }, "Show everything"),
    );
  return empty(
    "Nothing was asked yet",
    h("p", {}, "Each question is kept here with its answer and evidence."),
    h("a", { class: "button main", href: "#/ask" }, "Ask the first question"),
  );
}
