// Runs before the first paint, so that a chosen theme never flashes: the one script that is no module.
"use strict";
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
