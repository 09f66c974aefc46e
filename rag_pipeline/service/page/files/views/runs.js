/** Runs: what ingestion did, newest first. */

import { h, title } from "/page/dom.js";
import { statusBadge } from "/page/parts/badge.js";
import { listing } from "/page/parts/listing.js";
import { command, empty } from "/page/parts/notice.js";
import { outcomes } from "/page/parts/report.js";
import { address } from "/page/route.js";
import { count, seconds, when } from "/page/words.js";

export function runsView(route, signal) {
  const list = listing({
    path: "/api/ingest-runs",
    query: Object.fromEntries(route.query),
    row: entry,
    none: () =>
      empty(
        "Nothing was ingested yet",
        h("p", {}, "In a shell, once or from cron:"),
        command("rag ingest FOLDER"),
      ),
    signal,
    label: "Runs",
  });
  return { element: h("div", { class: "page" }, title("Runs"), list), title: "Runs" };
}

function entry({
  run_id: id,
  collection,
  source_name: source,
  status,
  started_at: began,
  seconds: took,
  report,
}) {
  const failed = report?.failures?.length ?? 0;
  return h(
    "a",
    { class: "entry", href: address("runs", id), "data-item": true },
    h("span", { class: "name" }, `${source ?? "rag ingest"} into ${collection}`),
    h("span", { class: "passage" }, report?.error ?? outcomes(report?.documents)),
    h(
      "span",
      { class: "facts" },
      statusBadge(status),
      failed > 0 && h("span", { class: "badge failed" }, `! ${count(failed, "not taken", "not taken")}`),
      h("span", { class: "hint" }, `${when(began)} · ${seconds(took)}`),
    ),
  );
}
