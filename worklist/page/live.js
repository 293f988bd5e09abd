// Renews the parts of the page marked data-live when the server says that the worklist changed. Without script the page
// is whole and is renewed by reloading it.
(() => {
  "use strict";
  const line = document.getElementById("live");
  if (!document.querySelector("[data-live]") || !window.EventSource) return;
  const say = (text, bad) => { line.hidden = false; line.className = bad ? "bad" : ""; if (line.textContent !== text) line.textContent = text; };
  const places = (root) => [...root.querySelectorAll("[data-live], .counts")];
  const finding = (root) => root.querySelector("input[name=finding]")?.value;
  let busy = false, again = false;

  const replace = (now, next) => {
    if (now.innerHTML === next.innerHTML || now.querySelector("form")?.contains(document.activeElement)) return;
    const held = now.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    now.replaceChildren(...next.childNodes);
    if (held) now.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
  };

  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "Neurotriage-Renewal": "yes" } });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = places(document), next = places(fresh);
      if (now.length !== next.length || finding(document) !== finding(fresh)) return location.reload(); // a finding came, or a newer one
      now.forEach((part, i) => replace(part, next[i]));
      say("Live");
    } catch (fault) {
      say("This page is not live: the daemon did not answer. Reload to try again.", true);
    }
    busy = false;
    if (again) { again = false; renew(); }
  };

  const source = new EventSource("/events");
  source.onopen = () => { say("Live"); renew(); };
  source.onerror = () => say("This page is not live: the connection to the daemon is lost. It renews itself when the daemon is back.", true);
  source.addEventListener("change", renew);
  setInterval(() => { if (!document.hidden) renew(); }, 60000); // ages grow
})();
