/** How a document is divided: lists of headings, pages, chunks; a press on one scrolls to it. */

import { fill, h } from "/page/dom.js";
import { CodePoints, pointsIn } from "/page/spans.js";
import { count } from "/page/words.js";

const LISTED = 500;
const EXCERPT = 90;
const LINE = 200;

/** A list for each way in which `found` is divided; `show(span, kind)` highlights. */
export function divisions({ outline, chunks, suspicions, text }, show) {
  const points = new CodePoints(text);
  const go = (span) => () => show(span, "here");
  return [
    division("Suspicious spans", suspicions, (one) => jump(one.reason, go(one)), true),
    division("Headings", outline.headings, (one) => heading(one, go(lineAt(points, one.start))), true),
    division("Pages", outline.pages, (start, index) => jump(`Page ${index + 1}`, go(lineAt(points, start)))),
    division("Chunks", chunks, (one) => jump(`${one.chunk_id}: ${excerpt(points, one)}`, go(one))),
  ];
}

/** A list whose items are made when it is opened. */
function division(name, all, item, open = false) {
  if (!all.length) return null;
  const list = h("ul", { class: "jumps" });
  const rest = all.length - LISTED;
  const filled = () => {
    if (list.children.length) return;
    fill(
      list,
      all.slice(0, LISTED).map(item),
      rest > 0 && h("li", { class: "hint" }, `and ${count(rest, "more", "more")}`),
    );
  };
  if (open) filled();
  return h(
    "details",
    { open, ontoggle: filled },
    h("summary", {}, `${name} (${all.length.toLocaleString("en")})`),
    list,
  );
}

function jump(words, go) {
  return h("li", {}, h("button", { type: "button", class: "link", onclick: go }, words));
}

function heading({ level, title }, go) {
  const item = jump(title, go);
  item.classList.add(`level-${Math.min(level, 4)}`);
  return item;
}

/** The line at code point `start`, or the next that has words. */
function lineAt(points, start) {
  const text = points.slice(start, start + LINE);
  const end = text.indexOf("\n", Math.max(0, text.search(/\S/)));
  const line = end < 0 ? text : text.slice(0, end);
  return { start, end: start + Math.max(1, pointsIn(line)) };
}

function excerpt(points, { start, end }) {
  return points.slice(start, Math.min(end, start + EXCERPT));
}
