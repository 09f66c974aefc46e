/** What a reader thinks of an answer: helpful or not, and what it should have said. */

import { post } from "/page/api.js";
import { fill, h, say } from "/page/dom.js";
import { problem } from "/page/parts/notice.js";

/** Buttons for the answer of `promptId`; `rating` is what is on record, 0 to 1 or null. */
export function feedback(promptId, rating = null) {
  const outcome = h("div", { class: "outcome" });
  const text = h("textarea", { name: "correction", rows: 3 });
  const correction = h(
    "form",
    { class: "correction", hidden: true, onsubmit: (event) => correct(event) },
    h("label", { class: "field" }, h("span", {}, "What should it have said? (optional)"), text),
    h("button", {}, "Send correction"),
  );
  const up = h(
    "button",
    { type: "button", "aria-pressed": String(rating === 1), onclick: () => rate(1) },
    "Helpful",
  );
  const down = h(
    "button",
    { type: "button", "aria-pressed": String(rating === 0), onclick: () => rate(0) },
    "Not helpful",
  );

  const kept = async (body, words) => {
    try {
      await post("/api/feedback", { prompt_id: promptId, ...body });
    } catch (error) {
      fill(outcome, problem(error));
      return;
    }
    fill(outcome, words);
    say(words);
  };
  const rate = (score) => {
    up.setAttribute("aria-pressed", String(score === 1));
    down.setAttribute("aria-pressed", String(score === 0));
    correction.hidden = score === 1;
    correction.scrollIntoView({ block: "nearest" });
    return kept({ score }, "Thank you. It is on record.");
  };
  const correct = (event) => {
    event.preventDefault();
    if (!text.value.trim()) return text.focus();
    correction.hidden = true;
    return kept({ score: 0, correction: text.value.trim() }, "Thank you. Your correction is on record.");
  };
  return h(
    "div",
    { class: "feedback" },
    h("div", { class: "row", role: "group", "aria-label": "Was this helpful?" }, up, down),
    outcome,
    correction,
  );
}
