/** A button that copies text; where the browser forbids it, the text is selected to copy by hand. */

import { h, say } from "/page/dom.js";

const SHOWN_MS = 1500;

export function copyButton(text, selectable) {
  const button = h("button", { type: "button", onclick: () => copy() }, "Copy");
  const copy = async () => {
    const words = await copied(text(), selectable());
    button.textContent = words;
    say(words);
    setTimeout(() => {
      button.textContent = "Copy";
    }, SHOWN_MS);
  };
  return button;
}

async function copied(text, selectable) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    getSelection().selectAllChildren(selectable);
    return "Selected";
  }
}
