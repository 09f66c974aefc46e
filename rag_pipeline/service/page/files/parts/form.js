/** Parts of forms. */

import { get } from "/page/api.js";
import { fill, h } from "/page/dom.js";

/** A control under its label. */
export function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

/** A choice of `options`, each [value, words]. */
export function choice(name, options, chosen = "") {
  const items = options.map(([value, words]) => h("option", { value, selected: value === chosen }, words));
  return h("select", { name }, items);
}

/** A choice of collections that fills itself; until then it has the one that is chosen. */
export function collectionChoice(chosen = "default", { signal } = {}) {
  const select = choice("collection", [[chosen, chosen]], chosen);
  get("/api/collections", {}, signal)
    .then(({ collections }) => {
      const names = new Set([chosen, ...collections.map(({ name }) => name)]);
      const value = select.value;
      fill(
        select,
        [...names].map((name) => h("option", { value: name, selected: name === value }, name)),
      );
    })
    // The view that shows the choice asks the same service and says what is wrong.
    .catch(() => {});
  return select;
}

/** What stands in `form`, by name. */
export function values(form) {
  return Object.fromEntries(new FormData(form));
}
