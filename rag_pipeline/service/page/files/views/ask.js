/** Ask: a conversation, and the cited documents beside it. */

import { get } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { beside } from "/page/parts/beside.js";
import { choice, collectionChoice, field } from "/page/parts/form.js";
import { command, empty, isAborted, problem } from "/page/parts/notice.js";
import { Turn } from "/page/parts/turn.js";
import { address } from "/page/route.js";
import { count } from "/page/words.js";

const REMEMBERED = 20;
const MODEL = "model";

/** The conversation that goes on while other views are open. */
let kept = null;

export function askView(route) {
  const session = route.query.get("session");
  const isNew = route.query.has("new");
  if (kept === null || isNew || (session !== null && session !== kept.session)) {
    kept?.stop();
    kept = new Conversation(session, route.query.get("collection") ?? "default");
  }
  if (kept.session !== session || isNew) history.replaceState(null, "", kept.address());
  kept.suggest(route.query.get("q"));
  return { element: kept.element, title: "Ask", focus: kept.question };
}

class Conversation {
  constructor(session, collection) {
    this.session = session;
    this.parent = null;
    this.running = null;
    this.beside = beside();
    this.turns = h("div", { class: "turns" });
    this.start = h("div", { class: "start" });
    this.question = h("textarea", {
      id: "question",
      rows: 1,
      required: true,
      placeholder: "Ask your documents …",
      onkeydown: (event) => this.#typed(event),
    });
    this.collection = collectionChoice(collection);
    this.generator = choice(
      "generator",
      [
        [MODEL, "Language model"],
        ["extractive", "Sentences of the documents only"],
      ],
      MODEL,
    );
    this.send = h("button", { class: "main send" }, "Ask");
    this.element = h(
      "div",
      { class: "ask" },
      h("div", { class: "talk" }, this.#headline(), this.start, this.turns, this.#composer()),
      this.beside.element,
    );
    if (session === null) this.#welcome();
    else this.#recall();
  }

  address() {
    return address("ask", null, {
      session: this.session,
      collection: this.session ? this.collection.value : null,
    });
  }

  /** Put `words` into the box; they are asked when the reader says so. */
  suggest(words) {
    if (words) this.question.value = words;
  }

  stop() {
    this.running?.abort();
  }

  #headline() {
    return h(
      "div",
      { class: "headline" },
      title("Ask your documents"),
      h("a", { class: "button quiet again", href: address("ask", null, { new: 1 }) }, "New conversation"),
    );
  }

  #composer() {
    return h(
      "form",
      { class: "composer", onsubmit: (event) => this.#submitted(event) },
      h("label", { class: "unseen", for: "question" }, "Question"),
      h("div", { class: "box" }, this.question, this.send),
      h(
        "div",
        { class: "options" },
        field("Collection", this.collection),
        field("Answer with", this.generator),
      ),
    );
  }

  #typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  }

  #submitted(event) {
    event.preventDefault();
    if (this.running) {
      this.stop();
      return;
    }
    const question = this.question.value.trim();
    if (!question) return;
    this.question.value = "";
    this.#ask(question);
  }

  async #ask(question) {
    this.#begin();
    const turn = this.#turn(question);
    turn.element.scrollIntoView({ block: "start" });
    await this.#answer(turn, question);
  }

  #begin() {
    fill(this.start);
    if (this.session !== null) return;
    this.session = newSession();
    if (this.element.isConnected) history.replaceState(null, "", this.address());
  }

  async #answer(turn, question) {
    this.running = new AbortController();
    this.#isRunning(true);
    const answer = await turn.ask(this.#body(question), this.running.signal, () =>
      this.#answer(turn, question),
    );
    if (answer) this.parent = answer.prompt_id;
    this.running = null;
    this.#isRunning(false);
  }

  #body(question) {
    return {
      question,
      collection: this.collection.value,
      session: this.session,
      parent_id: this.parent,
      extractive: this.generator.value !== MODEL,
      stream: true,
    };
  }

  #isRunning(running) {
    this.send.textContent = running ? "Stop" : "Ask";
    this.send.classList.toggle("stop", running);
    // A running answer is stopped without a question in the box.
    this.question.required = !running;
  }

  #turn(question) {
    const turn = new Turn(question, (citation, generation, mark) =>
      this.beside.open(citation, generation, mark),
    );
    this.turns.append(turn.element);
    return turn;
  }

  async #welcome() {
    try {
      const { collections } = await get("/api/collections");
      const filled = collections.filter(({ documents }) => documents > 0);
      if (this.turns.children.length) return;
      if (filled.length && !filled.some(({ name }) => name === this.collection.value))
        this.#choose(filled[0].name);
      fill(this.start, filled.length ? hint(filled) : nothingYet());
    } catch (error) {
      fill(
        this.start,
        problem(error, () => this.#welcome()),
      );
    }
  }

  #choose(name) {
    if (![...this.collection.options].some(({ value }) => value === name)) {
      this.collection.append(h("option", { value: name }, name));
    }
    this.collection.value = name;
  }

  /** Show what was said in this session before. */
  async #recall() {
    try {
      const { items } = await get("/api/prompts", { session: this.session, limit: REMEMBERED });
      const records = await Promise.all(
        items.reverse().map(({ prompt_id: id, rating }) => recalled(id, rating)),
      );
      for (const record of records) this.#turn(record.question).show(record);
      this.parent = records.filter(({ status }) => status === "completed").at(-1)?.prompt_id ?? null;
      if (!records.length) this.#welcome();
      this.turns.lastElementChild?.scrollIntoView({ block: "start" });
    } catch (error) {
      if (!isAborted(error))
        fill(
          this.start,
          problem(error, () => this.#recall()),
        );
    }
  }
}

async function recalled(id, rating) {
  return { ...(await get(`/api/prompts/${id}`)), rating };
}

function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function hint(collections) {
  const there = collections
    .map(({ name, documents }) => `${count(documents, "document")} in “${name}”`)
    .join(", ");
  return h(
    "p",
    { class: "hint lead" },
    `${there}. Every sentence of an answer is checked against them: a numbered mark opens the words it stands on.`,
  );
}

function nothingYet() {
  return empty(
    "There is nothing to ask yet",
    h("p", {}, "Bring in documents first. On this machine, in a shell:"),
    command("rag ingest FOLDER"),
    h("p", {}, h("a", { class: "button main", href: "#/add" }, "Add documents here")),
  );
}
