/** Statistics: a period against the one before, what is asked about, and who or what stands behind it. */

import { get } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { continuous, bucketOf } from "/page/parts/buckets.js";
import { answersBy, answersOverTime, scoresOverTime } from "/page/parts/chart.js";
import { elsewhere } from "/page/parts/elsewhere.js";
import { choice, field, values } from "/page/parts/form.js";
import { empty, isAborted, loading, problem } from "/page/parts/notice.js";
import { table } from "/page/parts/table.js";
import { address } from "/page/route.js";
import { percent, seconds } from "/page/words.js";

const ATTRIBUTES = ["model", "collection", "user", "application", "category", "tag"];
const DAYS = ["7", "30", "90", "365"];
const MOST_DRAWN = 12;
const FIGURES = [
  ["Exchanges", "prompts", String],
  ["Users", "users", String],
  ["Grounded", "grounded_share", percent],
  ["Groundedness by rule", "groundedness", percent],
  ["Rated by people", "rating", percent],
  ["Failed", "failed_share", percent],
  ["Half within", "p50_s", seconds],
  ["95 % within", "p95_s", seconds],
];

export function statisticsView(route, signal) {
  const asked = { by: "model", days: "30", ...Object.fromEntries(route.query) };
  const body = h("div", { class: "statistics" }, loading());
  const load = async () => {
    try {
      const trends = await get("/api/trends", { days: asked.days, where: asked.where }, signal);
      const of = { by: asked.by, since: trends.from, where: asked.where };
      const { groups } = await get("/api/stats", of, signal);
      fill(body, trends.now.prompts + trends.before.prompts ? shown(trends, groups, asked) : nothing());
    } catch (error) {
      if (!isAborted(error)) fill(body, problem(error, load));
    }
  };
  load();
  const element = h(
    "div",
    { class: "page" },
    title("Statistics"),
    elsewhere("statistics"),
    filters(asked),
    body,
  );
  return { element, title: "Statistics" };
}

function filters(asked) {
  const look = (event) => {
    event.preventDefault();
    location.hash = address("statistics", null, values(event.currentTarget));
  };
  const form = h(
    "form",
    {
      class: "filters",
      onsubmit: look,
      onchange: (event) => event.target.matches("select") && form.requestSubmit(),
    },
    field(
      "Filter",
      h("input", {
        name: "where",
        value: asked.where ?? "",
        autocomplete: "off",
        spellcheck: "false",
        placeholder: "collection = 'default'",
        "data-search": true,
      }),
    ),
    field("The last days", choice("days", DAYS.map((days) => [days, days]), asked.days)),
    field("Compare by", choice("by", ATTRIBUTES.map((name) => [name, name]), asked.by)),
    h("button", {}, "Show"),
  );
  return form;
}

function nothing() {
  return empty("Nothing was asked then", h("p", {}, "Choose more days, or take the filter away."));
}

function shown(trends, groups, { by }) {
  const days = continuous(trends.series.filter(({ key }) => key >= trends.from).map(bucketOf), "day");
  return [
    h("section", {}, h("h2", {}, `Since ${trends.from}, and before`), figures(trends)),
    h("div", { class: "plots" }, answersOverTime(days, "day"), scoresOverTime(days, "day")),
    topics(trends.topics),
    h("section", {}, h("h2", {}, `By ${by}`), groups.length ? compared(groups, by) : none(by)),
  ];
}

const none = (by) => h("p", { class: "hint" }, `No exchange of these days has a ${by}.`);

function figures({ now, before }) {
  return h(
    "dl",
    { class: "tiles" },
    FIGURES.map(([words, name, said]) =>
      h(
        "div",
        { class: "tile" },
        h("dt", {}, words),
        h("dd", {}, now[name] === null ? "–" : said(now[name])),
        h("dd", { class: "hint" }, `before: ${before[name] === null ? "–" : said(before[name])}`),
      ),
    ),
  );
}

function topics({ risen, fallen, p_value: chance }) {
  if (!risen.length && !fallen.length && chance === null) return null;
  const terms = (words, moved) =>
    moved.length > 0 &&
    h(
      "p",
      {},
      h("strong", {}, `${words}: `),
      moved.map(({ term, now, before }) => [
        h("span", { class: "badge tag" }, `${term} ${before} → ${now}`),
        " ",
      ]),
    );
  return h(
    "section",
    {},
    h("h2", {}, "What is asked about"),
    terms("More than before", risen),
    terms("Less than before", fallen),
    chance !== null &&
      h(
        "p",
        { class: "hint" },
        `The mean question ${chance <= 0.05 ? "moved" : "did not surely move"} (p = ${chance.toFixed(3)}).`,
      ),
  );
}

function compared(groups, by) {
  const rows = groups.map((group) => [
    group.key,
    group.prompts,
    group.statuses.completed,
    group.states.grounded,
    group.statuses.failed,
    seconds(group.seconds.p50),
    seconds(group.seconds.p95),
    mean(group),
  ]);
  const heads = [by, "Exchanges", "Answered", "Grounded", "Failed", "Half within", "95 % within", "Rated"];
  return [answersBy(groups.slice(0, MOST_DRAWN), by), table(`By ${by}`, heads, rows)];
}

function mean(group) {
  const { mean_score: score } = bucketOf(group);
  return score === null ? "–" : percent(score);
}
