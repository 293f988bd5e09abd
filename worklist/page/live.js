// Renews the part of the page marked data-live when the server says that the worklist changed. Without script the page
// is whole and is renewed by reloading it.
(() => {
  "use strict";
  const part = document.querySelector("[data-live]");
  const line = document.getElementById("live");
  if (!part || !window.EventSource) return;
  const say = (text, bad) => { line.hidden = false; line.textContent = text; line.className = bad ? "bad" : ""; };
  let busy = false, again = false;
  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of ["[data-live]", ".counts"]) {
        const now = document.querySelector(place), next = fresh.querySelector(place);
        if (!now || !next || now.innerHTML === next.innerHTML) continue;
        const held = document.activeElement && now.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        now.replaceChildren(...next.childNodes);
        if (held) now.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
      }
      say("Live: renewed " + new Date().toISOString().slice(11, 19) + " UTC");
    } catch (fault) {
      say("This list is not live: the daemon did not answer. Reload to try again.", true);
    }
    busy = false;
    if (again) { again = false; renew(); }
  };
  const source = new EventSource("/events");
  source.onopen = () => { say("Live"); renew(); };
  source.onerror = () => say("This list is not live: the connection to the daemon is lost. It renews itself when the daemon is back.", true);
  source.addEventListener("change", renew);
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...document.querySelectorAll("a.verdict")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "j" || event.key === "ArrowDown") { if (links.length) { links[Math.min(at + 1, links.length - 1)].focus(); event.preventDefault(); } }
    else if (event.key === "k" || event.key === "ArrowUp") { if (at > 0) { links[at - 1].focus(); event.preventDefault(); } }
    else if (event.key === "/") { document.querySelector("input[type=search]")?.focus(); event.preventDefault(); }
    else if (event.key === "Escape" && location.pathname !== "/") location.href = "/";
  });
})();
