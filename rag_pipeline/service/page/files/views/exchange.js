/** One exchange: the answer, the evidence with its scores, the chain it belongs to, and how it was made. */

import { get } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { beside } from "/page/parts/beside.js";
import { isAborted, loading, problem } from "/page/parts/notice.js";
import { tree } from "/page/parts/tree.js";
import { Turn } from "/page/parts/turn.js";
import { address } from "/page/route.js";
import { percent, place, shortName, when } from "/page/words.js";

export function exchangeView(route, signal) {
  const body = h("div", { class: "talk" }, loading());
  const aside = beside();
  const load = async () => {
    try {
      const path = `/api/prompts/${encodeURIComponent(route.id)}`;
      const [record, chain] = await Promise.all([get(path, {}, signal), get(`${path}/chain`, {}, signal)]);
      fill(body, shown(record, chain, aside));
    } catch (error) {
      if (!isAborted(error)) fill(body, back(), title("Exchange"), problem(error, load));
    }
  };
  load();
  return { element: h("div", { class: "ask exchange" }, body, aside.element), title: "Exchange" };
}

function back() {
  return h("p", { class: "back" }, h("a", { href: address("history") }, "← All of the history"));
}

function shown(record, chain, aside) {
  const turn = new Turn(record.question, (citation, generation, mark) =>
    aside.open(citation, generation, mark),
  );
  turn.show({ ...record, rating: record.rating ?? null });
  return [
    back(),
    title("Exchange"),
    h("p", { class: "hint" }, [when(record.created_at), record.user, record.collection].join(" · ")),
    belongings(record),
    record.standalone && h("p", { class: "hint" }, `Understood as: ${record.standalone}`),
    turn.element,
    record.session &&
      h(
        "p",
        {},
        h(
          "a",
          {
            class: "button",
            href: address("ask", null, { session: record.session, collection: record.collection }),
          },
          "Go on with this conversation",
        ),
      ),
    chain.prompts.length > 1 && h("section", {}, h("h2", {}, "Conversation"), tree(chain, record.prompt_id)),
    evidence(record),
    opinions(record.scores ?? []),
    making(record),
  ];
}

function evidence({ evidence: all = [], generation }) {
  if (!all.length)
    return h(
      "section",
      {},
      h("h2", {}, "Evidence"),
      h("p", { class: "hint" }, "Nothing was found that fits the question."),
    );
  const rows = all.map((one) =>
    h(
      "tr",
      {},
      h("td", {}, String(one.rank)),
      h("td", {}, shownText(one, generation)),
      h("td", {}, one.cited ? "✓ cited" : "–"),
      h("td", { class: "figure" }, one.score.toFixed(3)),
      h("td", { class: "figure" }, String(one.vector_rank ?? "–")),
      h("td", { class: "figure" }, String(one.keyword_rank ?? "–")),
    ),
  );
  const names = ["Rank", "Passage", "Cited", "Score", "Vector rank", "Keyword rank"];
  return h(
    "section",
    {},
    h("h2", { id: "evidence" }, "Evidence"),
    h(
      "div",
      { class: "scroll evidence", tabindex: 0, role: "region", "aria-labelledby": "evidence" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            names.map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h("tbody", {}, rows),
      ),
    ),
  );
}

function shownText({ text, title: name, source, document_id: id, start, end, page, headings }, generation) {
  if (text === null || text === undefined) return h("span", { class: "hint" }, "The passage was forgotten.");
  const where = [name || (source && shortName(source)), place({ page, headings, title: name })]
    .filter(Boolean)
    .join(" · ");
  return [
    h(
      "a",
      { href: address("documents", id, { start, end, generation }), "data-item": true },
      where || `Document ${id}`,
    ),
    h("details", {}, h("summary", {}, `${text.slice(0, 80)}…`), h("p", { class: "passage whole" }, text)),
  ];
}

function opinions(scores) {
  if (!scores.length) return null;
  const items = scores.map(({ value, label, comment, correction, ...given }) =>
    h(
      "li",
      {},
      h("span", {}, `${given.metric}: `),
      value !== null && h("strong", {}, percent(value)),
      label && [" ", h("span", { class: "badge tag" }, label)],
      h("span", { class: "hint" }, ` ${judgeOf(given)}, ${when(given.created_at)}`),
      comment && h("p", {}, comment),
      correction && h("p", {}, h("strong", {}, "It should say: "), correction),
    ),
  );
  return h("section", {}, h("h2", {}, "Opinions"), h("ul", { class: "plain" }, items));
}

function judgeOf({ user, judge_name: name, judge_version: version }) {
  return user ?? `by rule ${name} ${version}`;
}

/** Where it belongs, each a way to what else does. */
function belongings({ tags = [], category, application }) {
  const links = [
    ...tags.map((tag) => h("a", { class: "badge tag", href: address("history", null, { tag }) }, tag)),
    category && h("a", { class: "badge tag", href: address("history", null, { category }) }, category),
  ].filter(Boolean);
  if (!links.length && !application) return null;
  return h("p", { class: "row" }, links, application && h("span", { class: "hint" }, `asked by ${application}`));
}

function making(record) {
  const pairs = {
    Prompt: record.prompt_id,
    Model: record.model,
    Weights: record.weights_sha256,
    Template: record.template_sha256,
    Generation: record.generation,
    Sampling: JSON.stringify(record.sampling),
    Usage: JSON.stringify(record.usage),
    Timings: JSON.stringify(record.timings),
    Checks: record.checks && JSON.stringify(record.checks),
  };
  const listed = Object.entries(pairs).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return h(
    "details",
    { class: "making" },
    h("summary", {}, "How it was made"),
    h(
      "dl",
      {},
      listed.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]),
    ),
    record.rendered && [
      h("h3", {}, "The prompt, as the model was given it"),
      h("pre", { class: "rendered", tabindex: 0, "aria-label": "Prompt" }, record.rendered),
    ],
  );
}
