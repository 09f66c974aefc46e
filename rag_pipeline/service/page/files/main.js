/** The frame: which view is shown, the theme, and the keys. */

import { fill, h, say } from "/page/dom.js";
import { listenToKeys } from "/page/keys.js";
import { empty } from "/page/parts/notice.js";
import { showHelp } from "/page/parts/help.js";
import { fromOutside, parse } from "/page/route.js";
import { addView } from "/page/views/add.js";
import { askView } from "/page/views/ask.js";
import { conversationsView } from "/page/views/conversations.js";
import { documentView } from "/page/views/document.js";
import { documentsView } from "/page/views/documents.js";
import { exchangeView } from "/page/views/exchange.js";
import { historyView } from "/page/views/history.js";
import { runView } from "/page/views/run.js";
import { runsView } from "/page/views/runs.js";
import { statisticsView } from "/page/views/statistics.js";

/** Each view is a function (route, signal) -> {element, title, focus}. */
const VIEWS = {
  ask: () => askView,
  documents: (id) => (id === null ? documentsView : documentView),
  add: () => addView,
  runs: (id) => (id === null ? runsView : runView),
  conversations: () => conversationsView,
  statistics: () => statisticsView,
  history: (id) => (id === null ? historyView : exchangeView),
};
const PARENTS = { add: "documents", conversations: "history", statistics: "history" };
const THEMES = { system: "◐", light: "☀", dark: "☾" };

const main = document.getElementById("main");
let leaving = null;
let shown = null;

function show() {
  leaving?.abort();
  leaving = new AbortController();
  const route = parse(location.hash);
  const view = VIEWS[route.view]?.(route.id) ?? unknown;
  const { element, title, focus = null } = view(route, leaving.signal);
  fill(main, element);
  document.title = `${title} · rag`;
  markCurrent(PARENTS[route.view] ?? route.view);
  settle(`${route.view}/${route.id}`, title, focus);
}

/** Another view begins at its heading; the same one, filtered anew, leaves the focus where it is. */
function settle(place, title, focus) {
  const isFirst = shown === null;
  if (place !== shown) {
    scrollTo(0, 0);
    if (focus) focus.focus({ preventScroll: true });
    else if (!isFirst) main.querySelector("h1")?.focus({ preventScroll: true });
    if (!isFirst) say(title);
  } else {
    main.querySelector("[data-search]")?.focus({ preventScroll: true });
  }
  shown = place;
}

function markCurrent(view) {
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function unknown() {
  const back = h("a", { class: "button main", href: "#/ask" }, "To the start");
  return {
    element: h("div", { class: "page" }, empty("There is no such view", back)),
    title: "Nothing here",
  };
}

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  document.getElementById("theme-sign").textContent = THEMES[theme];
  document.getElementById("theme").setAttribute("aria-label", `Theme: ${theme}`);
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  applyTheme(next);
  say(`Theme: ${next}`);
}

applyTheme(
  document.documentElement.dataset.theme in THEMES ? document.documentElement.dataset.theme : "system",
);
document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("help").addEventListener("click", showHelp);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
const within = fromOutside(location);
if (within) history.replaceState(null, "", `/${within}`);
addEventListener("hashchange", show);
listenToKeys();
show();
