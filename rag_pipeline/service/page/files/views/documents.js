/** Documents: browse what there is, or search what it says. */

import { post } from "/page/api.js";
import { fill, h, say, title } from "/page/dom.js";
import { choice, collectionChoice, field, values } from "/page/parts/form.js";
import { listing } from "/page/parts/listing.js";
import { command, empty, isAborted, loading, problem } from "/page/parts/notice.js";
import { address } from "/page/route.js";
import { count, place, sourceName } from "/page/words.js";

const FOUND = 30;
const ORIGINS = [
  ["both", "All"],
  ["real", "Real"],
  ["synthetic", "Synthetic"],
];

export function documentsView(route, signal) {
  const asked = Object.fromEntries(route.query);
  const wanted = { collection: "default", in: "names", origins: "both", ...asked };
  const results = wanted.in === "text" && wanted.q ? passages(wanted, signal) : names(wanted, signal);
  const element = h(
    "div",
    { class: "page" },
    h(
      "div",
      { class: "headline" },
      title("Documents"),
      h(
        "a",
        { class: "button main", href: address("add", null, { collection: wanted.collection }) },
        "Add documents",
      ),
    ),
    filters(wanted, signal),
    results,
  );
  return { element, title: "Documents" };
}

function filters(wanted, signal) {
  const collection = collectionChoice(wanted.collection, { signal });
  const look = (event) => {
    event.preventDefault();
    location.hash = address("documents", null, values(event.currentTarget));
  };
  const form = h(
    "form",
    {
      class: "filters",
      role: "search",
      onsubmit: look,
      onchange: (event) => event.target.matches("select") && form.requestSubmit(),
    },
    field("Words", h("input", { name: "q", type: "search", value: wanted.q ?? "", "data-search": true })),
    field(
      "Look in",
      choice(
        "in",
        [
          ["names", "Names"],
          ["text", "Contents"],
        ],
        wanted.in,
      ),
    ),
    field("Collection", collection),
    field("Origin", choice("origins", ORIGINS, wanted.origins)),
    h("button", {}, "Search"),
  );
  return form;
}

function names({ q, collection, origins, source }, signal) {
  return listing({
    path: "/api/documents",
    query: { q, collection, origins, source },
    row: entry,
    none: () => (q || source || origins !== "both" ? nothingFits() : nothingYet(collection)),
    signal,
    label: "Documents",
  });
}

function entry({ document_id: id, title: name, sources, language, characters, chunks, origin, suspicious }) {
  const [first] = sources;
  return h(
    "a",
    { class: "entry", href: address("documents", id), "data-item": true },
    h("span", { class: "name" }, name || (first ? sourceName(first) : `Document ${id}`)),
    h(
      "span",
      { class: "hint address" },
      first?.source ?? "",
      sources.length > 1 && ` and ${count(sources.length - 1, "more place")}`,
    ),
    h(
      "span",
      { class: "facts" },
      origin === "synthetic" && h("span", { class: "badge synthetic" }, "Synthetic"),
      suspicious > 0 && h("span", { class: "badge suspicious" }, `! ${count(suspicious, "suspicious span")}`),
      h(
        "span",
        { class: "hint" },
        [count(characters, "character"), count(chunks, "chunk"), language].filter(Boolean).join(" · "),
      ),
    ),
  );
}

function passages({ q, collection, origins }, signal) {
  const list = h("ul", { class: "list", "aria-label": "Passages" });
  const foot = h("div", { class: "foot" }, loading("Searching …"));
  const find = async () => {
    try {
      const { hits } = await post("/api/search", { query: q, collection, origins, limit: FOUND }, signal);
      fill(
        list,
        hits.map((hit) => h("li", {}, passage(hit))),
      );
      fill(foot, hits.length === 0 && nothingFits());
      say(`${hits.length} passages found`);
    } catch (error) {
      if (!isAborted(error)) fill(foot, problem(error, find));
    }
  };
  find();
  return h("div", { class: "listing" }, list, foot);
}

function passage({
  document_id: id,
  external_id: external,
  start,
  end,
  title: name,
  source,
  text,
  score,
  page,
  headings,
}) {
  return h(
    "a",
    { class: "entry", href: address("documents", id, { start, end }), "data-item": true },
    h("span", { class: "name" }, name || sourceName({ source, external_id: external })),
    h("span", { class: "passage" }, text),
    h(
      "span",
      { class: "hint" },
      [
        place({ page, headings, title: name }),
        sourceName({ source, external_id: external }),
        `score ${score.toFixed(3)}`,
      ]
        .filter(Boolean)
        .join(" · "),
    ),
  );
}

function nothingFits() {
  return empty(
    "Nothing fits",
    h("p", {}, "Try fewer words, look in the contents of the documents, or choose another collection."),
  );
}

function nothingYet(collection) {
  return empty(
    `Nothing is in the collection “${collection}” yet`,
    h("p", {}, "Add documents with the button above, or in a shell:"),
    command(collection === "default" ? "rag ingest FOLDER" : `rag ingest FOLDER --collection ${collection}`),
  );
}
