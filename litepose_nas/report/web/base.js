"use strict";
// Small helpers: elements, numbers in words, and what survives a reload.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 4"];
// A circle, a square, a triangle, one upside down, a diamond: told apart without colour.
const SHAPES = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z", "M-3.5-3.5h7v7h-7Z", "M-4 3.5h8L0-4.5Z", "M-4-3.5h8L0 4.5Z", "M0-5L5 0 0 5-5 0Z",
];

function make(tag, attributes, children, space) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of [children ?? []].flat()) made.append(child instanceof Node ? child : String(child));
  return made;
}

const html = (tag, attributes, children) => make(tag, attributes, children);
const svg = (tag, attributes, children) => make(tag, attributes, children, SVG);

// What survives a reload: in the tab, and where a browser allows no storage, until it.
const kept = {
  name: "litepose-nas " + location.pathname,
  values: {},
  read() {
    try { this.values = JSON.parse(sessionStorage.getItem(this.name)) || {}; } catch { this.values = {}; }
  },
  get(key, otherwise) { return key in this.values ? this.values[key] : otherwise; },
  set(key, value) {
    this.values[key] = value;
    try { sessionStorage.setItem(this.name, JSON.stringify(this.values)); } catch { /* it lives until the reload */ }
  },
};

function digits(value, count = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1e5 || (size < 1e-4 && size > 0)) return value.toExponential(2);
  return String(Number(value.toPrecision(count)));
}

function prefixed(value, unit) {
  for (const [factor, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= factor) return `${Number((value / factor).toPrecision(4))} ${prefix}${unit}`;
  }
  return `${digits(value)} ${unit}`.trim();
}

function table(head, rows, caption) {
  const right = head.map((_, at) => rows.length > 0 && rows.every((row) => /^(?:[-+−]?\d.*|–|)$/.test(String(row[at] ?? ""))));
  const line = (cells, tag) => html("tr", {}, cells.map((cell, at) => html(tag, { class: right[at] ? "number" : null },
    cell instanceof Node ? cell : String(cell ?? ""))));
  const whole = html("table", { "aria-label": caption }, [
    html("thead", {}, line(head, "th")),
    html("tbody", {}, rows.map((row) => line(row, "td"))),
  ]);
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption || "table" }, whole);
}

function theme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("litepose-nas theme"); } catch { return null; } };
  const apply = (value) => { document.documentElement.dataset.theme = value || (system.matches ? "dark" : "light"); };
  apply(stored());
  system.addEventListener("change", () => apply(stored()));
  const button = html("button", { type: "button", id: "theme" });
  const words = () => { button.textContent = document.documentElement.dataset.theme === "dark" ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("litepose-nas theme", next); } catch { /* it lives until the reload */ }
    apply(next);
    words();
  });
  words();
  return button;
}

// A page of a run under way loads itself again, unless somebody is in the middle of something.
function reloading(state) {
  const note = html("p", { class: "live soft", id: "live" });
  let busy = false;
  addEventListener("pointerdown", () => { busy = true; });
  addEventListener("pointerup", () => { busy = false; });
  const words = () => {
    const age = Date.now() / 1000 - state.written;
    const old = age > 5 * state.every + 30;
    note.classList.toggle("stale", old);
    const ago = age < 90 ? `${Math.max(0, Math.round(age))} s` : age < 5400 ? `${Math.round(age / 60)} min` : `${Math.round(age / 3600)} h`;
    note.textContent = old
      ? `Written ${ago} ago, and not since: the run has stopped, or is busy with something long.`
      : `The run is under way. Written ${ago} ago; this page loads itself again every ${Math.round(state.every)} s.`;
  };
  words();
  setInterval(words, 1000);
  const again = () => {
    if (busy || document.hidden) { setTimeout(again, 1000); return; }
    kept.set("scroll", scrollY);
    location.reload();
  };
  setTimeout(again, state.every * 1000);
  return note;
}

// Draw now, and again whenever the room for it changes.
function sized(draw) {
  const holder = html("div");
  let width = 0;
  const now = () => {
    const room = Math.round(holder.clientWidth);
    if (room && room !== width) { width = room; holder.replaceChildren(...[draw(room)].flat()); }
  };
  new ResizeObserver(now).observe(holder);
  holder.redraw = () => { width = 0; now(); };
  return holder;
}
