/** A list that is fetched a part at a time. */

import { get } from "/page/api.js";
import { fill, h, say } from "/page/dom.js";
import { isAborted, loading, problem } from "/page/parts/notice.js";

/**
 * What `path` gives for `query`, each item as `row(item)` shows it, with a button for more;
 * `none()` stands where there is nothing, or no such collection.
 */
export function listing({ path, query, row, none, signal, label }) {
  const list = h("ul", { class: "list", "aria-label": label });
  const foot = h("div", { class: "foot" });
  const more = async (cursor) => {
    fill(foot, loading());
    try {
      const page = await get(path, { ...query, cursor }, signal);
      show(page, cursor);
    } catch (error) {
      if (error.status === 404) fill(foot, none());
      else if (!isAborted(error))
        fill(
          foot,
          problem(error, () => more(cursor)),
        );
    }
  };
  const show = ({ items, next_cursor: next }, cursor) => {
    const rows = items.map((item) => h("li", {}, row(item)));
    list.append(...rows);
    fill(foot, next && h("button", { type: "button", onclick: () => more(next) }, "Show more"));
    if (!list.children.length) fill(foot, none());
    if (cursor) rows[0]?.querySelector("a")?.focus();
    say(`${list.children.length} shown`);
  };
  more(null);
  return h("div", { class: "listing" }, list, foot);
}
