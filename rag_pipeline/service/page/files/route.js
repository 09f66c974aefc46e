/** Addresses within the page: `#/documents/12?start=3` is {view, id, query}. */

const PATH = /^\/(documents|prompts)\/([^/]+)$/;
const SPAN = /^#(\d+)-(\d+)$/;

/**
 * The address within the page of one that links from elsewhere use, `/documents/12?start=3&end=9`
 * or `/documents/12#3-9`; null where `location` is no such.
 */
export function fromOutside({ pathname, search, hash }) {
  const named = PATH.exec(pathname);
  if (!named) return null;
  const query = Object.fromEntries(new URLSearchParams(search));
  const span = SPAN.exec(hash);
  if (span) [, query.start, query.end] = span;
  return address(named[1] === "prompts" ? "history" : "documents", decoded(named[2]), query);
}

/** The route that `hash` names. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", id = ""] = path.split("/", 2).map(decoded);
  return { view: view || "ask", id: id || null, query: new URLSearchParams(query) };
}

/** The address of a view, of one thing in it, with what is asked of it; empty values are left out. */
export function address(view, id = null, query = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") asked.set(name, value);
  }
  const path = id === null ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
  return asked.size ? `${path}?${asked}` : path;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
