/** Elements. Whatever comes from a document, a model or a person becomes a text node, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with `attributes` and `children` (elements, strings, numbers; null and false are left
 * out). A function under `onclick`, `oninput` … listens to that event; true is an empty attribute.
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

/** `children` without what is not there, nested lists made flat. */
export function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Put `children` in the place of what `element` has. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** Tell those who don't see the page. */
export function say(words) {
  document.getElementById("said").textContent = words;
}

/** A heading that names the view and takes the focus when it opens. */
export function title(words) {
  return h("h1", { tabindex: -1 }, words);
}

/** A link to an address out there; anything but http and https stays text. */
export function outward(address) {
  if (!/^https?:\/\//i.test(address)) return h("span", { class: "address" }, address);
  return h("a", { class: "address", href: address, rel: "noopener noreferrer", target: "_blank" }, address);
}
