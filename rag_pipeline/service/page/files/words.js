/** How states, times and numbers are said. */

const STATES = {
  grounded: { sign: "✓", words: "Grounded", means: "it stands in the documents and answers the question" },
  partial: {
    sign: "◐",
    words: "Partly grounded",
    means: "what is cited stands in the documents; whether it answers the question is less sure",
  },
  no_evidence: { sign: "○", words: "No evidence", means: "the documents don't say" },
};
const STATUSES = {
  started: { sign: "…", words: "Not finished" },
  failed: { sign: "!", words: "Failed" },
  cancelled: { sign: "■", words: "Stopped" },
  running: { sign: "…", words: "Running" },
  completed: { sign: "✓", words: "Completed" },
  died: { sign: "!", words: "Died" },
};
const STEPS = {
  searching: "Searching the documents",
  writing: "Writing and checking",
};
const DAY_MS = 86_400_000;

export const stateOf = (state) => STATES[state] ?? { sign: "?", words: state, means: "" };
export const statusOf = (status) => STATUSES[status] ?? { sign: "?", words: status };
export const stateNames = Object.keys(STATES);
export const stepWords = (step) => STEPS[step] ?? step.replaceAll("_", " ");

/** "1 document", "12,345 documents". */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A time as its reader's clock has it, near ones in words. */
export function when(iso) {
  if (!iso) return "–";
  const time = new Date(iso);
  const clock = time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const days = Math.round((midnight(new Date()) - midnight(time)) / DAY_MS);
  if (days === 0) return `today, ${clock}`;
  if (days === 1) return `yesterday, ${clock}`;
  return `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${clock}`;
}

function midnight(time) {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 60
    ? `${value.toFixed(value < 10 ? 1 : 0)} s`
    : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** The end of a path or address, by which people know it. */
export function shortName(uri) {
  const path = uri.replace(/[?#].*$/, "").replace(/\/+$/, "");
  const last = path.slice(path.lastIndexOf("/") + 1) || uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** What to call a place that has no title: a file by its name, a record by its id and its file. */
export function sourceName({ source, external_id: id = "" }) {
  const file = shortName(source);
  const named = shortName(id);
  return named && named !== file ? `${named} · ${file}` : file;
}

/** Page and headings of a citation, as far as there are any. */
export function place({ page = null, headings = [], title = null }) {
  // A text often begins with its title as a heading.
  const below = headings?.[0] === title ? headings.slice(1) : (headings ?? []);
  return [...(page === null ? [] : [`page ${page}`]), ...below].join(" › ");
}
