/** An answer with a numbered mark after each sentence, for the words of a document it stands on. */

import { h } from "/page/dom.js";
import { address } from "/page/route.js";
import { CodePoints } from "/page/spans.js";
import { place, sourceName } from "/page/words.js";

/** `citations` in the order of the answer, each with its number; the same words share one. */
export function numbered(citations) {
  const numbers = new Map();
  const ordered = [...citations].sort(
    (a, b) => a.answer_start - b.answer_start || a.answer_end - b.answer_end,
  );
  return ordered.map((citation) => {
    const key = `${citation.document_id}:${citation.start}:${citation.end}`;
    if (!numbers.has(key)) numbers.set(key, numbers.size + 1);
    return { ...citation, number: numbers.get(key) };
  });
}

/** `text` without the line ends inside of its paragraphs, which a document may be full of. */
export function flowing(text) {
  return text.replace(/(?<!\n)\n(?![\s•*+-]|\d+[.)]|$)/g, " ");
}

/**
 * The text of an answer. `cite(citation, mark)` is called when a mark is followed; in an answer
 * that is partly grounded, sentences without a citation say so.
 */
export function prose({ answer, citations, state, generation }, cite) {
  // As long as it was, so that all offsets hold.
  const points = new CodePoints(flowing(answer));
  const spans = grouped(numbered(citations));
  const parts = [];
  let at = 0;
  for (const span of spans) {
    parts.push(unsupported(points.slice(at, span.start), state));
    const id = `${span.start}-${span.end}`;
    parts.push(h("span", { class: "supported", "data-span": id }, points.slice(span.start, span.end)));
    parts.push(span.citations.map((citation) => mark(citation, generation, cite)));
    at = Math.max(at, span.end);
  }
  parts.push(unsupported(points.slice(at, answer.length), state));
  return h("p", { class: "prose" }, parts);
}

/** Citations by the part of the answer they support; a part that overlaps one before is its. */
function grouped(citations) {
  const spans = [];
  for (const citation of citations) {
    const last = spans.at(-1);
    if (last && citation.answer_start < last.end) last.citations.push(citation);
    else spans.push({ start: citation.answer_start, end: citation.answer_end, citations: [citation] });
  }
  return spans;
}

function unsupported(words, state) {
  if (state !== "partial" || !/[\p{L}\p{N}]/u.test(words)) return words;
  const claim = words.trim();
  const at = words.indexOf(claim);
  const tag = h("span", { class: "tag" }, "no source found");
  return [
    words.slice(0, at),
    h("span", { class: "unsupported" }, claim),
    tag,
    words.slice(at + claim.length),
  ];
}

function mark(citation, generation, cite) {
  const { number, document_id: id, start, end } = citation;
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    cite(citation, event.currentTarget);
  };
  return h(
    "a",
    {
      class: "cite",
      href: address("documents", id, { start, end, generation }),
      "data-item": true,
      "aria-label": `Source ${number}: ${sourceName(citation)}${isSynthetic(citation) ? ", synthetic" : ""}`,
      onclick: follow,
    },
    String(number),
  );
}

/** The quotes that an answer rests on, each once, under its number. */
export function sources({ citations, generation }, cite) {
  const once = [...new Map(numbered(citations).map((one) => [one.number, one])).values()];
  if (!once.length) return null;
  return h(
    "ol",
    { class: "sources", "aria-label": "Sources" },
    once.map((citation) => h("li", {}, source(citation, generation, cite))),
  );
}

function source(citation, generation, cite) {
  const link = mark(citation, generation, cite);
  link.className = "source";
  link.removeAttribute("aria-label");
  link.removeAttribute("data-item");
  link.replaceChildren(
    h("span", { class: "number" }, String(citation.number)),
    h("span", { class: "quote" }, citation.quote),
    h(
      "span",
      { class: "from" },
      [sourceName(citation), place(citation), isSynthetic(citation) && "synthetic"].filter(Boolean).join(" · "),
    ),
  );
  return link;
}

/** Whether a generator wrote what is cited. */
function isSynthetic({ origin }) {
  return origin === "synthetic";
}

/** The answer as plain text, with its sources below. */
export function asText({ answer, citations }) {
  const points = new CodePoints(answer);
  let text = "";
  let at = 0;
  for (const span of grouped(numbered(citations))) {
    text += `${points.slice(at, span.end)} ${span.citations.map(({ number }) => `[${number}]`).join("")}`;
    at = span.end;
  }
  text += points.slice(at, answer.length);
  const once = new Map(
    numbered(citations).map((one) => [one.number, `[${one.number}] ${one.source}${isSynthetic(one) ? " (synthetic)" : ""}: “${one.quote}”`]),
  );
  return [text, ...once.values()].join("\n");
}
