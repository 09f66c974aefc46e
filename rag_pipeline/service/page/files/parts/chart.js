/** Two drawings of the history, each with its figures as a table for those who can't see it. */

import { h, svg } from "/page/dom.js";
import { stateNames, stateOf } from "/page/words.js";

const WIDTH = 520;
const HEIGHT = 150;
const LEFT = 34;
const BOTTOM = 20;
const TOP = 8;
const BAR = 26;
const FEW = 7;
const ROW = 24;
const NAMES = 130;
const LONGEST = 20;

/** Answers a day (week, month) by their state, stacked. */
export function answersOverTime(buckets, by) {
  const highest = Math.max(1, ...buckets.map(total));
  const bars = buckets.flatMap((bucket, index) => stack(bucket, column(index, buckets.length), highest));
  const rows = buckets.map((bucket) => [bucket.from, ...stateNames.map((name) => bucket.states[name] ?? 0)]);
  return figure(
    `Answers by ${by}`,
    [scale(highest, 0), dates(buckets), bars],
    ["From", ...stateNames.map((name) => stateOf(name).words)],
    rows,
    legend(),
  );
}

/** Answers of each of `groups` of `/api/stats` by their state, side by side. */
export function answersBy(groups, by) {
  const most = Math.max(1, ...groups.map(total));
  const height = TOP + groups.length * ROW;
  const drawn = groups.map((group, index) => lying(group, TOP + index * ROW, most));
  return h(
    "figure",
    { class: "plot lying" },
    h("figcaption", {}, `Answers by ${by}`),
    svg(
      "svg",
      {
        class: "drawing",
        viewBox: `0 0 ${WIDTH} ${height}`,
        role: "img",
        "aria-label": `Answers by ${by}; the figures follow as a table`,
      },
      drawn,
    ),
    legend(),
  );
}

function lying(group, top, most) {
  const scaled = (WIDTH - NAMES) / most;
  let left = NAMES;
  const bars = stateNames.map((name) => {
    const width = (group.states[name] ?? 0) * scaled;
    const bar =
      width > 0 && svg("rect", { class: `bar ${name}`, x: left, y: top + 3, width, height: ROW - 8, rx: 1 });
    left += width;
    return bar;
  });
  const name = group.key.length > LONGEST ? `${group.key.slice(0, LONGEST)}…` : group.key;
  const middleOf = top + ROW / 2 + 3;
  return svg(
    "g",
    {},
    svg("title", {}, `${group.key}: ${total(group)}`),
    svg("text", { class: "tick", x: NAMES - 8, y: middleOf, "text-anchor": "end" }, name),
    bars,
  );
}

function legend() {
  return h(
    "p",
    { class: "legend", "aria-hidden": "true" },
    stateNames.map((name) => h("span", { class: `key ${name}` }, stateOf(name).words)),
  );
}

/** The mean score of a day (week, month): 0 is wrong, 1 is right. */
export function scoresOverTime(buckets, by) {
  const scored = buckets
    .map((bucket, index) => ({ ...bucket, x: middle(column(index, buckets.length)) }))
    .filter(({ mean_score: mean }) => mean !== null);
  const dots = scored.map(({ x, from, mean_score: mean, scores }) =>
    svg(
      "circle",
      { class: "dot", cx: x, cy: y(mean, 1), r: 4 },
      svg("title", {}, `${from}: ${mean.toFixed(2)} of ${scores}`),
    ),
  );
  const line =
    scored.length > 1 &&
    svg("polyline", {
      class: "line",
      points: scored.map(({ x, mean_score: mean }) => `${x},${y(mean, 1)}`).join(" "),
    });
  const rows = scored.map(({ from, mean_score: mean, scores }) => [from, mean.toFixed(2), scores]);
  const none =
    scored.length === 0 &&
    h("p", { class: "hint" }, "No answer was rated yet: use the buttons below an answer.");
  return figure(
    `Mean score by ${by}`,
    [scale(1, 1), dates(buckets), line, dots],
    ["From", "Mean score", "Scores"],
    rows,
    none,
  );
}

function total({ states }) {
  return stateNames.reduce((sum, name) => sum + (states[name] ?? 0), 0);
}

function column(index, columns) {
  const step = (WIDTH - LEFT) / columns;
  const width = Math.min(BAR, step * 0.7);
  return { x: LEFT + index * step + (step - width) / 2, width };
}

const middle = ({ x, width }) => x + width / 2;
const y = (value, highest) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest);

function stack({ from, states }, { x, width }, highest) {
  let below = 0;
  return stateNames.flatMap((name) => {
    const number = states[name] ?? 0;
    if (!number) return [];
    const top = y(below + number, highest);
    const bar = svg(
      "rect",
      { class: `bar ${name}`, x, width, y: top, height: y(below, highest) - top, rx: 1 },
      svg("title", {}, `${from}: ${number} ${stateOf(name).words}`),
    );
    below += number;
    return [bar];
  });
}

function scale(highest, digits) {
  return [0, highest / 2, highest]
    .filter((value) => digits || Number.isInteger(value))
    .flatMap((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value, highest), y2: y(value, highest) }),
      svg(
        "text",
        { class: "tick", x: LEFT - 6, y: y(value, highest) + 4, "text-anchor": "end" },
        value.toFixed(digits),
      ),
    ]);
}

function dates(buckets) {
  const every = Math.ceil(buckets.length / FEW);
  return buckets.map(
    (bucket, index) =>
      index % every === 0 &&
      svg(
        "text",
        { class: "tick", x: middle(column(index, buckets.length)), y: HEIGHT - 4, "text-anchor": "middle" },
        bucket.from.slice(5),
      ),
  );
}

function figure(name, drawn, heads, rows, below) {
  const table = h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        heads.map((head) => h("th", { scope: "col" }, head)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((cell) => h("td", {}, String(cell))),
        ),
      ),
    ),
  );
  return h(
    "figure",
    { class: "plot" },
    h("figcaption", {}, name),
    svg(
      "svg",
      {
        class: "drawing",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `${name}; the figures follow as a table`,
      },
      drawn.flat(Infinity).filter(Boolean),
    ),
    below,
    h(
      "details",
      {},
      h("summary", {}, "Figures"),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Figures: ${name}` }, table),
    ),
  );
}
