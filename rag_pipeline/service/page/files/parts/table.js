/** Figures in rows, which may be wider than the page. */

import { h } from "/page/dom.js";

/** A table called `name`; the first cell of each row says whose figures the others are. */
export function table(name, heads, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, String(first)),
            rest.map((cell) => h("td", { class: "figure" }, String(cell))),
          ),
        ),
      ),
    ),
  );
}
