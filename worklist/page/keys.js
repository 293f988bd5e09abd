// Keys of the list, and the help.
(() => {
  "use strict";
  const help = document.getElementById("keys");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const links = [...document.querySelectorAll("a.verdict")], here = links.indexOf(document.activeElement);
    const focus = (place) => { if (links[place]) { links[place].focus(); event.preventDefault(); } };
    switch (event.key) {
    case "j": focus(Math.min(here + 1, links.length - 1)); break;
    case "k": focus(Math.max(here - 1, 0)); break;
    case "ArrowDown": if (here >= 0) focus(Math.min(here + 1, links.length - 1)); break;
    case "ArrowUp": if (here > 0) focus(here - 1); break;
    case "/": { const field = document.querySelector("input[type=search]"); if (field) { field.focus(); event.preventDefault(); } break; }
    case "?": help.open = !help.open; if (help.open) help.querySelector("summary").focus(); break;
    case "Escape": if (help.open) help.open = false; else if (location.pathname !== "/") location.href = "/"; break;
    }
  });
})();
