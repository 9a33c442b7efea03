"use strict";
// Three small things that style sheets cannot do; the book reads well without them.

// A formula that is too wide scrolls inside its own box. As long as it does, the box takes part in the tab order, so
// that arrow keys can scroll it. The theme does the same for code and tables.
function watchFormulas() {
  const reach = (box) => {
    if (box.scrollWidth > box.clientWidth + 1) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "Formula, scrolls sideways");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  };
  const observer = new ResizeObserver((entries) => entries.forEach((entry) => reach(entry.target)));
  const watch = () => document.querySelectorAll("div.math, span.math").forEach((box) => {
    observer.observe(box);
    reach(box);
  });
  watch();
  const typesetting = window.MathJax?.startup?.promise;
  if (typesetting) typesetting.then(watch);
}

// On paper nothing can be unfolded, so it is unfolded before; and paper is white, whatever the screen is.
function readyForPrint() {
  const root = document.documentElement;
  const opened = [];
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    document.querySelectorAll("details:not([open])").forEach((details) => {
      details.open = true;
      opened.push(details);
    });
  });
  window.addEventListener("afterprint", () => {
    root.dataset.theme = theme;
    opened.splice(0).forEach((details) => { details.open = false; });
  });
}

// Results of a search quote the pages they found, which a browser may fetch from a server but not from a disk.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

window.addEventListener("load", watchFormulas);
readyForPrint();
