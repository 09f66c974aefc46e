/** What an ingestion did: counts, and each document that it could not take, with the reason. */

import { h } from "/page/dom.js";
import { count, seconds } from "/page/words.js";

const LISTED = 200;
const OUTCOMES = {
  new: "new",
  changed: "changed",
  unchanged: "unchanged",
  duplicate: "the same as another",
  near_duplicate: "nearly the same as another",
  failed: "failed",
  skipped: "skipped",
  deleted: "removed",
};

export function ingestReport(report) {
  return h("div", { class: "report" }, figures(report), failures(report.failures ?? []));
}

/** "3 new, 1 failed": what there is of each. */
export function outcomes(documents = {}) {
  const some = Object.entries(documents).filter(([, number]) => number > 0);
  return (
    some.map(([name, number]) => `${number.toLocaleString("en")} ${OUTCOMES[name] ?? name}`).join(", ") ||
    "nothing to do"
  );
}

function figures({ documents, chunks, embedded, seconds: took, generation, error }) {
  const pairs = [
    error && ["Error", error],
    documents && ["Documents", outcomes(documents)],
    chunks && ["Chunks", `${chunks.added} added, ${chunks.removed} removed`],
    embedded !== undefined && ["Embedded", count(embedded, "text")],
    took !== undefined && ["Took", seconds(took)],
    generation !== undefined && ["Generation", generation],
  ].filter(Boolean);
  return h(
    "dl",
    { class: "figures" },
    pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
  );
}

function failures(all) {
  if (!all.length) return null;
  const rows = all
    .slice(0, LISTED)
    .map(({ source, reason, outcome }) =>
      h(
        "li",
        {},
        h("span", { class: "address" }, source),
        h("span", { class: "why" }, `${OUTCOMES[outcome] ?? outcome ?? "failed"}: ${reason}`),
      ),
    );
  return h(
    "section",
    { class: "failures" },
    h("h2", {}, count(all.length, "document was not taken", "documents were not taken")),
    h("ul", {}, rows),
    all.length > LISTED &&
      h("p", { class: "hint" }, `and ${all.length - LISTED} more: rag runs show --json has them all`),
  );
}
