/** One run: its report, with each document that was not taken, and why. */

import { get } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { statusBadge } from "/page/parts/badge.js";
import { isAborted, loading, problem } from "/page/parts/notice.js";
import { ingestReport } from "/page/parts/report.js";
import { address } from "/page/route.js";
import { seconds, when } from "/page/words.js";

export function runView(route, signal) {
  const body = h("div", { class: "report" }, loading());
  const load = async () => {
    try {
      fill(body, shown(await get(`/api/ingest-runs/${encodeURIComponent(route.id)}`, {}, signal)));
    } catch (error) {
      if (!isAborted(error)) fill(body, problem(error, load));
    }
  };
  load();
  const back = h("p", { class: "back" }, h("a", { href: address("runs") }, "← All runs"));
  return {
    element: h("div", { class: "page" }, back, title(`Run ${route.id.slice(0, 8)}`), body),
    title: "Run",
  };
}

function shown({ collection, source_name: source, status, started_at: began, seconds: took, report }) {
  return [
    h(
      "p",
      { class: "facts" },
      statusBadge(status),
      h(
        "span",
        { class: "hint" },
        [source ?? "rag ingest", `into ${collection}`, when(began), seconds(took)].join(" · "),
      ),
    ),
    ingestReport(report ?? {}),
    h(
      "p",
      {},
      h("a", { class: "button", href: address("documents", null, { collection }) }, "See the documents"),
    ),
  ];
}
