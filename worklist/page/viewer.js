// The viewer of the study page. Without script the page shows the key slices as pictures; this adds scrolling through
// every slice, window and level, and the activation map.
import { Shelf, spread } from "./pixels.js";
import { grey, heat, lay } from "./paint.js";
import { listen } from "./hands.js";

const part = document.getElementById("viewer");
const at = (id) => document.getElementById(id);
const screen = at("screen");
const shelf = new Shelf(128 << 20);
const state = { study: null, series: 0, slice: 0, window: null, first: null, map: true, strength: 0.45, shown: null, keysOnly: false };

const series = () => state.study.series[state.series];
const key = () => series().keys.find((k) => k.slice === state.slice);
const percent = (p) => (100 * p).toFixed(1) + " %";

// steps are the slices that scrolling stops at.
const steps = () => (state.keysOnly ? [...new Set(series().keys.map((k) => k.slice))].sort((a, b) => a - b) : series().slices.map((_, i) => i));

export const acts = {
  move(by) {
    const stops = steps(), here = stops.indexOf(state.slice);
    const near = here >= 0 ? here : stops.findIndex((s) => s > state.slice);
    acts.go(stops[Math.max(0, Math.min(stops.length - 1, (near < 0 ? stops.length - 1 : near) + by))] ?? state.slice);
  },
  go(slice) { state.slice = Math.max(0, Math.min(series().slices.length - 1, slice)); show(); },
  end() { acts.go(steps().at(-1) ?? 0); },
  key(by) {
    const keys = [...new Set(series().keys.map((k) => k.slice))].sort((a, b) => a - b);
    if (!keys.length) return;
    const next = by > 0 ? keys.find((k) => k > state.slice) ?? keys[0] : keys.findLast((k) => k < state.slice) ?? keys.at(-1);
    acts.go(next);
  },
  toggle() { state.map = !state.map; at("toggle").setAttribute("aria-pressed", state.map); draw(); },
  strength(value) { state.strength = Math.max(0, Math.min(1, value)); at("strength").value = Math.round(100 * state.strength); draw(); },
  stronger(by) { acts.strength(state.strength + by); },
  level(wider, higher) {
    if (!state.window) return;
    const [black, white] = state.window, width = Math.max(1e-6, white - black) * Math.exp(wider), middle = (black + white) / 2 + higher * (white - black);
    state.window = [middle - width / 2, middle + width / 2];
    draw();
  },
  reset() { state.window = state.first; draw(); },
  series(number) { state.series = number; state.slice = 0; state.window = null; state.keysOnly = false; begin(); },
};

// show fetches the slice in view; a slower answer for one that was left is dropped.
async function show() {
  mark();
  const wanted = series().slices[state.slice].link;
  let slice;
  try {
    slice = await shelf.get(wanted);
  } catch (fault) {
    return note("This slice cannot be shown: " + fault.message + ". Scroll on, or reload.");
  }
  if (wanted !== series().slices[state.slice].link) return;
  if (!slice) {
    state.keysOnly = true;
    if (!key() && series().keys.length) return acts.key(1);
    state.shown = null;
    clear();
    return note("The pixels of this slice are not at hand: the study has left the place it was read from.");
  }
  note(state.keysOnly ? "The study has left the place it was read from: only its key slices can be shown." : "");
  if (!state.window) state.first = state.window = key()?.window ?? series().keys[0]?.window ?? spread(slice);
  state.shown = slice;
  draw();
  if (!state.keysOnly) for (const near of [1, -1, 2]) {
    const next = series().slices[state.slice + near];
    if (next) shelf.get(next.link).catch(() => {}); // the look itself will tell
  }
}

function clear() {
  const pen = screen.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, screen.width, screen.height);
}

function draw() {
  at("strength-at").textContent = state.map ? Math.round(100 * state.strength) + " %" : "off";
  const slice = state.shown;
  if (!slice) return;
  const dots = window.devicePixelRatio || 1, box = screen.getBoundingClientRect();
  screen.width = Math.max(1, Math.round(box.width * dots));
  screen.height = Math.max(1, Math.round(box.height * dots));
  const map = key()?.map;
  const strength = state.map ? state.strength : 0;
  lay(screen, slice, grey(slice, state.window), map, map && heat(map), strength);
  const [black, white] = state.window;
  const mapped = map ? (strength > 0 ? "map: " + key().label : "map off") : "no map";
  at("readout").textContent = `${state.slice + 1} / ${series().slices.length} · ${series().slices[state.slice].position.toFixed(1)} mm · ` +
    `W ${Math.round(white - black)} L ${Math.round((white + black) / 2)} · ${mapped}`;
  part.dataset.slice = state.slice + 1; // for style and for tests
  part.dataset.map = map && strength > 0 ? "on" : "off";
}

function note(text) { at("note").textContent = text; }

// mark shows the place in the strip, and the scores of the slice.
function mark() {
  const { slices } = series(), slice = slices[state.slice];
  at("slice").value = state.slice + 1;
  at("slice-at").textContent = `${state.slice + 1} of ${slices.length}`;
  screen.setAttribute("aria-label", `Slice ${state.slice + 1} of ${slices.length}`);
  for (const strip of part.querySelectorAll(".strip")) {
    const line = strip.querySelector(".place"), mine = Number(strip.dataset.series) === state.series + 1;
    line.setAttribute("x1", mine ? state.slice : -9);
    line.setAttribute("x2", mine ? state.slice : -9);
  }
  const rows = (slice.probabilities ?? []).map((p, i) => {
    const row = document.createElement("div"), name = document.createElement("dt"), value = document.createElement("dd");
    name.textContent = state.study.labels[i];
    value.textContent = percent(p);
    row.append(name, value);
    return row;
  });
  at("scores").replaceChildren(...rows);
  if (!rows.length) at("scores").textContent = slice.skipped ? "not scored: " + slice.skipped : "not scored";
}

function begin() {
  at("slice").max = series().slices.length;
  for (const id of ["previous-key", "next-key"]) at(id).disabled = !series().keys.length;
  const best = series().keys[0];
  acts.go(best ? best.slice : Math.floor(series().slices.length / 2));
}

async function open() {
  const answer = await fetch(part.dataset.source);
  if (!answer.ok) return; // the pictures below stay
  state.study = await answer.json();
  if (!state.study.series?.length) return;
  at("series").replaceChildren(...state.study.series.map((s, i) => new Option(s.title, i)));
  at("series").closest("label").hidden = state.study.series.length < 2;
  part.querySelector(".stage-area").hidden = false;
  document.body.classList.add("viewing");
  listen(part, screen, acts);
  new ResizeObserver(draw).observe(screen);
  const most = state.study.series.findIndex((s) => s.keys.length);
  state.series = Math.max(0, most);
  at("series").value = state.series;
  begin();
}

open().catch((fault) => console.warn("the viewer does not open:", fault));
