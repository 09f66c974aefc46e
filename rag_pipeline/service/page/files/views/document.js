/** One document: its text, how it is divided, and where it comes from. */

import { get } from "/page/api.js";
import { fill, h, outward, title } from "/page/dom.js";
import { divisions } from "/page/parts/divisions.js";
import { isAborted, loading, problem } from "/page/parts/notice.js";
import { reader } from "/page/parts/reader.js";
import { address } from "/page/route.js";
import { count, percent, sourceName } from "/page/words.js";

export function documentView(route, signal) {
  const element = h("div", { class: "page" }, title("Document"), loading());
  const generation = route.query.get("generation");
  const load = async () => {
    try {
      const found = await get(`/api/documents/${encodeURIComponent(route.id)}`, { generation }, signal);
      show(element, found, spanOf(route.query));
    } catch (error) {
      if (!isAborted(error)) fill(element, title("Document"), problem(error, load), back());
    }
  };
  load();
  return { element, title: `Document ${route.id}` };
}

function spanOf(query) {
  const start = Number.parseInt(query.get("start"), 10);
  const end = Number.parseInt(query.get("end"), 10);
  return start >= 0 && end > start ? { start, end } : null;
}

function show(element, found, span) {
  const name =
    found.title || (found.sources[0] ? sourceName(found.sources[0]) : `Document ${found.document_id}`);
  const text = reader(
    found.text,
    found.suspicions.map((one) => ({ ...one, kind: "suspicious", why: `Suspicious: ${one.reason}` })),
  );
  const heading = title(name);
  const bring = (wanted, kind) => {
    text.show(wanted, kind);
    text.element.scrollIntoView({ block: "nearest" });
  };
  fill(
    element,
    back(),
    heading,
    facts(found),
    h(
      "div",
      { class: "document" },
      h("div", { class: "about" }, divisions(found, bring), places(found)),
      text.element,
    ),
  );
  document.title = `${name} · rag`;
  if (span) bring(span);
  else heading.focus({ preventScroll: true });
}

function back() {
  return h("p", { class: "back" }, h("a", { href: address("documents") }, "← All documents"));
}

function facts({
  collection,
  characters,
  language,
  chunks,
  from_generation: from,
  to_generation: to,
  origin,
  suspicions,
  near,
}) {
  const held =
    to === null || to === undefined
      ? `since generation ${from}`
      : `from generation ${from} to ${to}: it is not current any more`;
  return h(
    "p",
    { class: "facts" },
    origin === "synthetic" && h("span", { class: "badge synthetic" }, "Synthetic"),
    suspicions.length > 0 &&
      h("span", { class: "badge suspicious" }, `! ${count(suspicions.length, "suspicious span")}`),
    h(
      "span",
      { class: "hint" },
      [collection, count(characters, "character"), count(chunks.length, "chunk"), language, held]
        .filter(Boolean)
        .join(" · "),
    ),
    near &&
      h(
        "span",
        { class: "hint" },
        `${percent(near.similarity)} like another document${near.held_back ? ", which is found in its place" : ""}`,
      ),
  );
}

function places({ sources, metadata }) {
  const items = sources.map(({ source, external_id: id, title: name }) =>
    h(
      "li",
      {},
      name && h("span", {}, `${name} `),
      outward(source),
      id !== source && h("span", { class: "hint" }, ` id ${id}`),
    ),
  );
  const pairs = Object.entries(metadata ?? {});
  return [
    h(
      "details",
      { open: true },
      h("summary", {}, `Sources (${sources.length})`),
      h("ul", { class: "places" }, items),
    ),
    pairs.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, `Metadata (${pairs.length})`),
        h(
          "dl",
          {},
          pairs.map(([key, value]) => [
            h("dt", {}, key),
            h("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
          ]),
        ),
      ),
  ];
}
