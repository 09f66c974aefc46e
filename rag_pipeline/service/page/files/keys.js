/** Keys that work wherever no text is being written. */

import { showHelp } from "/page/parts/help.js";

const VIEWS = { 1: "#/ask", 2: "#/documents", 3: "#/runs", 4: "#/history" };

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (act(event.key)) event.preventDefault();
  });
}

/** Do what `key` stands for; whether it stands for anything. */
function act(key) {
  if (key === "?") showHelp();
  else if (key === "/") document.querySelector("#question, [data-search]")?.focus();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "Escape") closeBeside();
  else if (key in VIEWS) location.hash = VIEWS[key];
  else return false;
  return true;
}

function step(by) {
  const items = [...document.querySelectorAll("main [data-item]")];
  const at = items.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + by, 0), items.length - 1);
  items[next]?.focus();
}

function closeBeside() {
  document.querySelector("aside.beside:not([hidden]) header button")?.click();
}
