/** Counts over time, as they are drawn: without gaps, and not more than fit. */

const SHOWN = 60;
const NEXT = {
  day: (date) => date.setUTCDate(date.getUTCDate() + 1),
  week: (date) => date.setUTCDate(date.getUTCDate() + 7),
  month: (date) => date.setUTCMonth(date.getUTCMonth() + 1),
};

/** What is drawn of a group of `/api/stats`. */
export function bucketOf({ key, states, scores }) {
  const said = scores.find(({ judge, metric }) => judge === "human" && metric === "rating");
  return { from: key, states, scores: said?.scores ?? 0, mean_score: said?.mean ?? null };
}

/** The newest of `buckets` (oldest first, each `from` a date), with empty ones where there are none. */
export function continuous(buckets, by) {
  const known = new Map(buckets.map((bucket) => [bucket.from, bucket]));
  const last = buckets.at(-1)?.from ?? "";
  const all = [];
  const date = new Date(buckets[0]?.from ?? NaN);
  while (!Number.isNaN(date.getTime()) && nameOf(date) <= last) {
    all.push(known.get(nameOf(date)) ?? { from: nameOf(date), states: {}, scores: 0, mean_score: null });
    NEXT[by](date);
  }
  return all.slice(-SHOWN);
}

function nameOf(date) {
  return date.toISOString().slice(0, 10);
}
