/** Add documents: files from this machine, or a text that is pasted. */

import { post } from "/page/api.js";
import { fill, h, title } from "/page/dom.js";
import { field, values } from "/page/parts/form.js";
import { loading, problem } from "/page/parts/notice.js";
import { ingestReport } from "/page/parts/report.js";
import { address } from "/page/route.js";

export function addView(route) {
  const collection = h("input", {
    name: "collection",
    value: route.query.get("collection") ?? "default",
    required: true,
    maxlength: 200,
    autocomplete: "off",
  });
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const element = h(
    "div",
    { class: "page" },
    h("p", { class: "back" }, h("a", { href: address("documents") }, "← All documents")),
    title("Add documents"),
    field("Into the collection", collection),
    h("div", { class: "two" }, files(collection, outcome), pasted(collection, outcome)),
    outcome,
  );
  return { element, title: "Add documents" };
}

function files(collection, outcome) {
  const input = h("input", { type: "file", name: "files", multiple: true, required: true });
  const body = () => {
    const form = new FormData();
    form.set("collection", collection.value);
    for (const file of input.files) form.append("files", file);
    return form;
  };
  return h(
    "form",
    { class: "card", onsubmit: (event) => send(event, body, collection, outcome) },
    h("h2", {}, "Files"),
    field("Text, Markdown, HTML, PDF, Word, mail and more", input),
    h("button", { class: "main" }, "Upload"),
  );
}

function pasted(collection, outcome) {
  const body = (form) => {
    const { title: name, text } = values(form);
    return {
      collection: collection.value,
      source: "page",
      records: [{ _id: idOf(name), title: name, text, metadata: {} }],
    };
  };
  return h(
    "form",
    { class: "card", onsubmit: (event) => send(event, () => body(event.target), collection, outcome) },
    h("h2", {}, "A text"),
    field("Title", h("input", { name: "title", required: true, maxlength: 300, autocomplete: "off" })),
    field("Text", h("textarea", { name: "text", rows: 6, required: true })),
    h("button", { class: "main" }, "Add this text"),
  );
}

/** The same title is the same document: pasting it again replaces it. */
function idOf(name) {
  return name.trim().toLowerCase().replace(/\s+/g, "-");
}

async function send(event, body, collection, outcome) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  fill(outcome, loading("Reading, cutting and embedding …"));
  try {
    const report = await post("/api/documents", body());
    const next = h(
      "p",
      {},
      h(
        "a",
        { class: "button", href: address("documents", null, { collection: collection.value }) },
        "See the documents",
      ),
      " ",
      h(
        "a",
        { class: "button", href: address("ask", null, { new: 1, collection: collection.value }) },
        "Ask about them",
      ),
    );
    fill(outcome, h("h2", {}, "Done"), ingestReport(report), next);
    form.reset();
  } catch (error) {
    fill(outcome, problem(error));
  } finally {
    button.disabled = false;
  }
}
