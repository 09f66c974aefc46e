/** A document that opens beside what cites it, at the cited words. */

import { get } from "/page/api.js";
import { fill, h, outward, say } from "/page/dom.js";
import { isAborted, loading, problem } from "/page/parts/notice.js";
import { reader } from "/page/parts/reader.js";
import { address } from "/page/route.js";
import { place, sourceName } from "/page/words.js";

/** Where the document covers all the rest, as on a phone. */
const COVERING = matchMedia("(max-width: 59.99rem)");

/** An `element`, to stand behind what cites, that is hidden until `open(citation, generation, opener)`. */
export function beside() {
  const element = h("aside", { class: "beside", "aria-label": "Cited document", hidden: true });
  let back = null;
  let waiting = null;
  let shown = null;

  const close = () => {
    waiting?.abort();
    element.hidden = true;
    element.previousElementSibling.inert = false;
    if (back?.isConnected) back.focus();
    back = null;
  };
  const open = async (citation, generation, opener) => {
    waiting?.abort();
    waiting = new AbortController();
    back = opener;
    element.hidden = false;
    element.previousElementSibling.inert = COVERING.matches;
    if (shown?.id !== citation.document_id || shown.generation !== generation) {
      shown = null;
      fill(element, head(citation, generation, close), loading());
      shown = await fetched(citation, generation, waiting.signal, (failed) => {
        fill(
          element,
          head(citation, generation, close),
          problem(failed, () => open(citation, generation, opener)),
          quote(citation),
        );
      });
    }
    if (shown === null) return;
    fill(element, head(citation, generation, close, shown.title), shown.reader.element);
    shown.reader.show(citation);
    say(`${shown.title || sourceName(citation)} is open at the cited words. Escape closes it.`);
  };
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  return { element, open, close };
}

async function fetched({ document_id: id }, generation, signal, failed) {
  try {
    const found = await get(`/api/documents/${id}`, { generation }, signal);
    return { id, generation, title: found.title, reader: reader(found.text) };
  } catch (error) {
    if (!isAborted(error)) failed(error);
    return null;
  }
}

function head(citation, generation, close, title = null) {
  const { document_id: id, start, end, source } = citation;
  return h(
    "header",
    {},
    h(
      "div",
      {},
      h("h2", { title: source }, title || sourceName(citation)),
      h("p", { class: "hint" }, place({ ...citation, title }), " ", outward(source)),
    ),
    h("a", { class: "button", href: address("documents", id, { start, end, generation }) }, "Whole view"),
    h("button", { type: "button", onclick: close, "aria-label": "Close the document" }, "Close"),
  );
}

/** What was cited is on record even where the document is gone. */
function quote({ quote: words }) {
  return h("blockquote", {}, words);
}
