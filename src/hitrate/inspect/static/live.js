// The charts of the overview, every few seconds anew. Without this script the page stays as it was loaded.
"use strict";
const live = document.querySelector("[data-live]");
if (live) {
  const seconds = Number(live.dataset.live);
  setInterval(async () => {
    const main = document.querySelector("main");
    if (document.hidden || main.contains(document.activeElement) || getSelection().toString()) return;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      main.replaceWith(page.querySelector("main"));
    } catch {
      // The inspector has ended; what was shown stays.
    }
  }, seconds * 1000);
}
