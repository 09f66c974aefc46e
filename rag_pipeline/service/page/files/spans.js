/**
 * Offsets of the service count Unicode code points, those of JavaScript strings UTF-16 units: after
 * one emoji they differ.
 */

const STEP = 1024;

/** Where code points stand in `text`; a thousand questions to a megabyte cost next to nothing. */
export class CodePoints {
  #text;
  #marks = null;

  constructor(text) {
    this.#text = text;
    if (/[\ud800-\udbff][\udc00-\udfff]/.test(text)) this.#marks = everyStep(text);
  }

  /** The unit at which code point `point` begins; one past the end is the length. */
  unit(point) {
    const whole = Math.max(0, point);
    if (this.#marks === null) return Math.min(whole, this.#text.length);
    const mark = Math.min(Math.floor(whole / STEP), this.#marks.length - 1);
    return forward(this.#text, this.#marks[mark], whole - mark * STEP);
  }

  /** `text` from code point `start` to `end`. */
  slice(start, end) {
    return this.#text.slice(this.unit(start), this.unit(end));
  }
}

function everyStep(text) {
  const marks = [];
  for (let unit = 0; unit < text.length; unit = forward(text, unit, STEP)) marks.push(unit);
  return marks;
}

function forward(text, unit, points) {
  let at = unit;
  for (let left = points; left > 0 && at < text.length; left -= 1) {
    at += text.codePointAt(at) > 0xffff ? 2 : 1;
  }
  return at;
}

/** How many code points `text` has. */
export function pointsIn(text) {
  let count = 0;
  for (let at = 0; at < text.length; at += text.codePointAt(at) > 0xffff ? 2 : 1) count += 1;
  return count;
}

/**
 * `text` cut into pieces of about `size` units, at line ends where there are any, else at spaces,
 * never inside a code point. Joined they are `text`.
 */
export function pieces(text, size) {
  const cut = [];
  for (let start = 0; start < text.length;) {
    const end = start + size >= text.length ? text.length : breakBefore(text, start, start + size);
    cut.push({ start, end });
    start = end;
  }
  return cut;
}

function breakBefore(text, start, limit) {
  const line = text.lastIndexOf("\n", limit - 1);
  if (line > start) return line + 1;
  const space = text.lastIndexOf(" ", limit - 1);
  if (space > start) return space + 1;
  return isInside(text, limit) ? limit - 1 : limit;
}

function isInside(text, unit) {
  return /[\udc00-\udfff]/.test(text[unit]) && /[\ud800-\udbff]/.test(text[unit - 1]);
}
