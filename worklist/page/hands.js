// Wheel, keys, dragging and the controls of the viewer.
export function listen(part, screen, acts) {
  const at = (id) => document.getElementById(id);
  let turned = 0;
  screen.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // the browser's zoom
    event.preventDefault();
    turned += event.deltaMode === 0 ? event.deltaY / 60 : event.deltaY; // a trackpad sends many small turns
    const whole = Math.trunc(turned);
    if (whole) { turned -= whole; acts.move(Math.sign(whole)); }
  }, { passive: false });
  drag(screen, acts);
  at("slice").addEventListener("input", (event) => acts.go(event.target.value - 1));
  at("strength").addEventListener("input", (event) => acts.strength(event.target.value / 100));
  at("series").addEventListener("change", (event) => acts.series(Number(event.target.value)));
  at("toggle").addEventListener("click", acts.toggle);
  at("reset").addEventListener("click", acts.reset);
  at("previous-key").addEventListener("click", () => acts.key(-1));
  at("next-key").addEventListener("click", () => acts.key(1));
  for (const strip of part.querySelectorAll(".strip")) {
    const chart = strip.querySelector("svg");
    chart.addEventListener("click", (event) => {
      const box = chart.getBoundingClientRect(), number = Number(strip.dataset.series) - 1;
      if (Number(at("series").value) !== number) { at("series").value = number; acts.series(number); }
      acts.go(Math.round((event.clientX - box.left) / box.width * (at("slice").max - 1)));
    });
  }
  const keys = {
    ArrowUp: () => acts.move(-1), ArrowDown: () => acts.move(1), PageUp: () => acts.move(-5), PageDown: () => acts.move(5),
    Home: () => acts.go(0), End: acts.end, n: () => acts.key(1), p: () => acts.key(-1), o: acts.toggle,
    "[": () => acts.stronger(-0.1), "]": () => acts.stronger(0.1), r: acts.reset,
  };
  addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    act();
  });
}

// drag sets window and level with a mouse, and turns slices with a finger.
function drag(screen, acts) {
  let last = null, owed = 0;
  screen.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; owed = 0; screen.setPointerCapture(event.pointerId); });
  screen.addEventListener("pointermove", (event) => {
    if (!last) return;
    const right = event.clientX - last[0], down = event.clientY - last[1];
    last = [event.clientX, event.clientY];
    if (event.pointerType !== "touch") return acts.level(right / 200, down / 400);
    owed += down / 12;
    const whole = Math.trunc(owed);
    if (whole) { owed -= whole; acts.move(whole); }
  });
  for (const end of ["pointerup", "pointercancel"]) screen.addEventListener(end, () => { last = null; });
}
