/** One question with its answer, from the first step to the checked text. */

import { stream } from "/page/api.js";
import { fill, h, say } from "/page/dom.js";
import { asText, flowing, prose, sources } from "/page/parts/answer.js";
import { outcome } from "/page/parts/badge.js";
import { copyButton } from "/page/parts/copy.js";
import { feedback } from "/page/parts/feedback.js";
import { isAborted, problem } from "/page/parts/notice.js";
import { seconds, stateOf, stepWords } from "/page/words.js";

/** A place for a question and what becomes of it. `cite` opens a citation. */
export class Turn {
  constructor(question, cite) {
    this.cite = cite;
    this.head = h("div", { class: "made" });
    this.body = h("div", { class: "said" });
    this.foot = h("div", { class: "after" });
    this.element = h(
      "article",
      { class: "turn", "aria-label": `Question: ${question}` },
      h("h2", { class: "question" }, question),
      h("div", { class: "answer" }, this.head, this.body, this.foot),
    );
  }

  /** Ask, and show what comes; the answer, or null where there is none. */
  async ask(body, signal, retry) {
    const draft = h("p", { class: "prose" });
    const steps = h("ol", { class: "steps", "aria-label": "Steps" });
    this.body.setAttribute("aria-busy", "true");
    fill(this.head, steps);
    fill(this.body, draft);
    fill(this.foot);
    try {
      return await this.#followed(stream("/api/ask", body, signal), draft, steps);
    } catch (error) {
      this.#ended(error, draft, retry);
      return null;
    } finally {
      this.body.removeAttribute("aria-busy");
    }
  }

  async #followed(events, draft, steps) {
    let text = "";
    for await (const { event, data } of events) {
      if (event === "status") addStep(steps, data.step);
      else if (event === "sentence") draft.textContent = flowing((text += data.text));
      else if (event === "error") throw new Error(data.error?.message ?? data.message);
      else if (event === "answer") {
        this.show({ ...data, status: "completed" });
        say(`${stateOf(data.state).words}: ${data.answer}`);
        return data;
      }
    }
    throw new Error("The service ended the answer before it was whole.");
  }

  #ended(error, draft, retry) {
    const stopped = isAborted(error);
    fill(this.head, outcome({ status: stopped ? "cancelled" : "failed" }));
    if (!stopped) fill(this.body, draft.textContent && draft, problem(error, retry));
    else if (!draft.textContent)
      fill(this.body, h("p", { class: "hint" }, "Stopped before anything was said."));
    say(stopped ? "Stopped." : error.message);
  }

  /** Show an exchange as it is on record, or as the service just gave it. */
  show(exchange) {
    const { prompt_id: id, answer, model, timings = {}, note, error, rating } = exchange;
    const took = Object.values(timings).reduce((sum, one) => sum + one, 0);
    fill(this.head, outcome(exchange), h("span", { class: "hint by" }, `${model} · ${seconds(took)}`));
    if (!answer) {
      fill(this.body, h("p", { class: "hint" }, error ?? "There is no answer on record."));
      return;
    }
    const text = prose(exchange, (citation, mark) => this.cite(citation, exchange.generation, mark));
    fill(this.body, text, note && h("p", { class: "hint" }, note));
    fill(
      this.foot,
      sources(exchange, (citation, mark) => this.cite(citation, exchange.generation, mark)),
      h(
        "div",
        { class: "row" },
        feedback(id, rating ?? null),
        copyButton(
          () => asText(exchange),
          () => text,
        ),
      ),
    );
  }
}

function addStep(steps, step) {
  const last = steps.lastElementChild;
  if (last) {
    last.className = "done";
    last.removeAttribute("aria-current");
  }
  steps.append(h("li", { "aria-current": "step" }, stepWords(step)));
  say(stepWords(step));
}
