/** The exchanges of a conversation as a tree: what follows stands below what it follows. */

import { h } from "/page/dom.js";
import { outcome } from "/page/parts/badge.js";
import { address } from "/page/route.js";

export function tree({ root, prompts, truncated }, current) {
  const byId = new Map(prompts.map((prompt) => [prompt.prompt_id, prompt]));
  const top = byId.get(root);
  return [
    h("ul", { class: "tree" }, top && node(top, byId, current)),
    truncated && h("p", { class: "hint" }, "Only a part of it is shown."),
  ];
}

/** A conversation is mostly one line of hundreds: children of an only child stay at its level. */
function node(first, byId, current) {
  const items = [];
  let prompt = first;
  for (;;) {
    const children = prompt.children.map((id) => byId.get(id)).filter(Boolean);
    const branches =
      children.length > 1
        ? h(
            "ul",
            {},
            children.map((child) => node(child, byId, current)),
          )
        : null;
    items.push(h("li", {}, entry(prompt, current), branches));
    if (children.length !== 1) return items;
    [prompt] = children;
  }
}

function entry(prompt, current) {
  const isCurrent = prompt.prompt_id === current;
  return h(
    "a",
    {
      href: address("history", prompt.prompt_id),
      "aria-current": isCurrent ? "true" : null,
      "data-item": true,
    },
    h("span", {}, prompt.question),
    " ",
    outcome({ ...prompt, confidence: null }),
  );
}
