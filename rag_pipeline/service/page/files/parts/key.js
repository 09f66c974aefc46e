/** The dialog that asks for the service's key. It is kept for this tab alone, until it closes. */

import { fill, h } from "/page/dom.js";

let asking = null;

/** The key that the reader gives; requests that fail at the same time share one dialog. */
export function askForKey(reason) {
  asking ??= asked(reason).finally(() => {
    asking = null;
  });
  return asking;
}

function asked(reason) {
  return new Promise((give, refuse) => {
    const input = h("input", {
      id: "key",
      type: "password",
      autocomplete: "off",
      required: true,
      spellcheck: "false",
    });
    const dialog = h("dialog", { "aria-labelledby": "key-title" });
    const form = h(
      "form",
      { method: "dialog", onsubmit: () => give(input.value.trim()) },
      h("h2", { id: "key-title" }, "This service needs a key"),
      h("p", {}, `It says: ${reason}`),
      h("label", { for: "key" }, "Key"),
      input,
      h(
        "p",
        { class: "hint" },
        "Whoever runs the service has it (RAG_SERVICE__API_KEY). It is kept until this tab closes.",
      ),
      h("div", { class: "row" }, h("button", { class: "main" }, "Use this key")),
    );
    fill(dialog, form);
    dialog.addEventListener("cancel", () =>
      refuse(new Error("The service needs a key, and none was given.")),
    );
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}
