/** The text of a document with spans of it highlighted, however long it is. */

import { fill, h } from "/page/dom.js";
import { CodePoints, pieces } from "/page/spans.js";

const PIECE = 3000;
const LINE = 80;
const FRAMES = 12;

/**
 * `text`, cut into blocks that the browser lays out when they come near. `marks` are spans in code
 * points, {start, end, kind, why}; `show(span)` highlights one more and scrolls to it.
 */
export function reader(text, marks = []) {
  const points = new CodePoints(text);
  const standing = marks.map((mark) => inUnits(mark, points));
  const blocks = pieces(text, PIECE).map((piece) => ({ ...piece, element: block(text, piece) }));
  const element = h("div", {
    class: "text",
    tabindex: 0,
    role: "region",
    "aria-label": "Text of the document",
  });
  fill(
    element,
    blocks.map((one) => one.element),
  );

  const draw = (shown) => {
    for (const one of blocks) fill(one.element, cutAt(text, one, shown));
  };
  const show = (span, kind = "cited") => {
    draw([...standing, inUnits({ ...span, kind }, points)]);
    const found = element.querySelector(`mark.${kind}`);
    if (found) bringUp(found, element);
    return found;
  };
  draw(standing);
  return { element, show };
}

function inUnits({ start, end, kind, why }, points) {
  return { start: points.unit(start), end: points.unit(end), kind, why };
}

function block(text, { start, end }) {
  const lines = Math.ceil((end - start) / LINE) + text.slice(start, end).split("\n").length;
  const element = h("div", { class: "block" });
  element.style.containIntrinsicBlockSize = `auto ${lines * 1.5}em`;
  return element;
}

/** The piece of `text` as plain text and marks. */
function cutAt(text, { start, end }, marks) {
  const here = marks.filter((mark) => mark.start < end && mark.end > start);
  const inner = here.flatMap((mark) => [mark.start, mark.end]).filter((at) => at > start && at < end);
  const edges = [...new Set([start, ...inner, end])].sort((a, b) => a - b);
  return edges.slice(1).map((to, index) => {
    const from = edges[index];
    const over = here.filter((mark) => mark.start < to && mark.end > from);
    const words = text.slice(from, to);
    return over.length ? marked(words, over) : words;
  });
}

function marked(words, over) {
  const why = over
    .map((mark) => mark.why)
    .filter(Boolean)
    .join("; ");
  return h(
    "mark",
    { class: over.map((mark) => mark.kind).join(" "), tabindex: -1, title: why || null },
    words,
  );
}

/**
 * Scroll `within` so that `found` is in its middle, and nothing else. Blocks take their real height
 * only when they come near, so one jump may miss: look again.
 */
function bringUp(found, within, frames = FRAMES) {
  const { top, height } = found.getBoundingClientRect();
  const space = within.getBoundingClientRect();
  within.scrollTop += top - space.top - Math.max(0, (space.height - height) / 2);
  if (frames === FRAMES) found.focus({ preventScroll: true });
  if (frames > 0 && found.isConnected) requestAnimationFrame(() => bringUp(found, within, frames - 1));
}
