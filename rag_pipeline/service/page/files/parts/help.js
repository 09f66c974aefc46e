/** The dialog that lists the keys. */

import { h } from "/page/dom.js";

const KEYS = [
  ["/", "To the question or search box"],
  ["j, k", "To the next or previous entry or citation"],
  ["Enter", "Open it; in the question box: ask"],
  ["Shift + Enter", "A new line in the question box"],
  ["Escape", "Close the document or dialog; leave a box"],
  ["1, 2, 3, 4", "Ask, Documents, Runs, History"],
  ["?", "This help"],
];

export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.map(([key, what]) =>
    h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what)),
  );
  const dialog = h(
    "dialog",
    { "aria-labelledby": "help-title", onclose: () => dialog.remove() },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "help-title" }, "Keyboard shortcuts"),
      h("table", { class: "keys" }, h("tbody", {}, rows)),
      h("div", { class: "row" }, h("button", { class: "main" }, "Close")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
