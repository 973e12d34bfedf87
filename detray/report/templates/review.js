"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items;
const byId = (id) => document.getElementById(id);
const form = byId("filters").elements;
const scroller = byId("scroller");
const gallery = byId("gallery");
const viewer = byId("viewer");

/* Decisions: by key, in the browser's storage. */

const STORAGE = `detray review: ${data.name}: ${data.data}`;
const WORDS = { accept: "accepted", reject: "rejected", skip: "skipped" };

function load() {
  try {
    const stored = Object.entries(JSON.parse(localStorage.getItem(STORAGE) ?? "{}"));
    return new Map(stored.filter(([, word]) => Object.hasOwn(WORDS, word)));
  } catch {
    return new Map();
  }
}

function save() {
  try {
    localStorage.setItem(STORAGE, JSON.stringify(Object.fromEntries(decisions)));
  } catch {
    say("This browser saves nothing here: export before you close the page.");
  }
}

function say(text) {
  byId("status").textContent = text;
}

const decisions = load();

/* Elements. Text of the data only ever becomes text. */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/* Pictures: [x, y, width, height] in pixels of the picture. */

/** A view that holds the boxes too, as far as half of it beyond its edges. */
function extended([x, y, width, height], boxes) {
  let [left, top, right, bottom] = [x, y, x + width, y + height];
  for (const [bx, by, bw, bh] of boxes) {
    left = Math.min(left, Math.max(Math.min(bx, bx + bw), x - width / 2));
    top = Math.min(top, Math.max(Math.min(by, by + bh), y - height / 2));
    right = Math.max(right, Math.min(Math.max(bx, bx + bw), x + 1.5 * width));
    bottom = Math.max(bottom, Math.min(Math.max(by, by + bh), y + 1.5 * height));
  }
  const margin = 0.01 * Math.max(right - left, bottom - top);
  return [left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin];
}

/** The thumbnail: its square of a pack, where it lies in its picture. */
function sprite(picture) {
  const [x, y, width, height] = picture.view;
  const { columns, cells, side } = data.pack;
  const scale = Math.min(1, side / Math.max(width, height));
  const place = picture.number % cells;
  const corner = [(place % columns) * side, Math.floor(place / columns) * side];
  const size = [width, height].map((length) => Math.max(Math.round(length * scale), 1));
  const image = draw("image", { href: picture.pack, width: data.sheet[0], height: data.sheet[1] });
  return draw("svg", { x, y, width, height, viewBox: [...corner, ...size].join(" "), preserveAspectRatio: "none" }, image);
}

function outlines(item) {
  const marks = [["other", item.other], ["", item.box], ["suggested", item.suggested]];
  return marks.filter(([, box]) => box).flatMap(([style, [x, y, width, height]]) => {
    const d = `M${x} ${y}h${width}v${height}h${-width}z`;
    return [draw("path", { d, class: "halo" }), draw("path", { d, class: `mark ${style}` })];
  });
}

function boxesOf(item) {
  return [item.other, item.box, item.suggested].filter(Boolean);
}

function thumbnail(item, picture, isOwn) {
  const view = picture.view ?? [0, 0, ...picture.size];
  const [x, y, width, height] = extended(view, isOwn ? boxesOf(item) : []);
  const svg = draw("svg", { viewBox: `${x} ${y} ${width} ${height}`, "aria-hidden": "true" });
  if (picture.view) svg.append(sprite(picture));
  else svg.append(draw("text", { class: "problem", x: x + width / 2, y: y + height / 2, "font-size": width / 15 }, picture.problem));
  if (isOwn) svg.append(...outlines(item));
  return svg;
}

/* Filter. */

const GROUPS = { suspect: "suspected labels", finding: "findings of the audit", miss: "missed boxes" };
const FILTERS = { group: "", kind: "", category: "", split: "", state: "", score: "", file: "" };
const STATES = { all: "all", open: "undecided", accept: "accepted", reject: "rejected", skip: "skipped" };
let shown = [];
let current = 0;

function fillSelects() {
  const options = (name, entries) => form[name].append(...entries.map(([value, text]) => make("option", { value }, text)));
  options("state", Object.entries(STATES));
  for (const name of ["group", "kind", "category", "split"]) {
    const counts = new Map();
    for (const item of items) counts.set(item[name] ?? "", (counts.get(item[name] ?? "") ?? 0) + 1);
    const entries = [...counts].filter(([value]) => value !== "").sort(([a], [b]) => a.localeCompare(b));
    const words = (value) => GROUPS[value] ?? value.replaceAll("_", " ");
    options(name, [["", "all"], ...entries.map(([value, n]) => [value, `${name === "category" ? value : words(value)} (${n})`])]);
  }
}

function filter() {
  const { state, score, file } = form;
  const least = Number.parseFloat(score.value) || 0;
  const part = file.value.toLowerCase();
  const fits = (item) =>
    ["group", "kind", "category", "split"].every((name) => !form[name].value || item[name] === form[name].value) &&
    (state.value === "all" || (decisions.get(item.key) ?? "open") === state.value) &&
    (least === 0 || (item.score ?? 0) >= least) &&
    (!part || [item.picture, item.pair].some((picture) => picture?.file.toLowerCase().includes(part)));
  shown = items.filter(fits);
  current = 0;
  scroller.scrollTop = 0;
  byId("nothing").hidden = shown.length > 0;
  for (const cell of cells.values()) cell.remove();
  cells.clear();
  layOut();
  tell();
}

function tell() {
  const counts = { accept: 0, reject: 0, skip: 0 };
  for (const item of items) if (decisions.has(item.key)) counts[decisions.get(item.key)] += 1;
  const words = Object.entries(counts).map(([word, n]) => `${n.toLocaleString("en")} ${WORDS[word]}`);
  byId("count").textContent = `${shown.length.toLocaleString("en")} of ${items.length.toLocaleString("en")}`;
  byId("states").textContent = words.join(", ");
}

/* Gallery: only the cells that are seen are in the page. */

const WIDTH = 190;
const HEIGHT = 248;
const GAP = 8;
const cells = new Map();
let columns = 1;
let width = WIDTH; // of a cell

function layOut() {
  columns = Math.max(1, Math.floor((scroller.clientWidth - GAP) / (WIDTH + GAP)));
  width = (scroller.clientWidth - GAP) / columns - GAP;
  gallery.style.height = `${Math.ceil(shown.length / columns) * (HEIGHT + GAP) + GAP}px`;
  for (const [place, cell] of cells) put(cell, place);
  show();
}

function put(cell, place) {
  cell.style.width = `${width}px`;
  cell.style.height = `${HEIGHT}px`;
  cell.style.left = `${GAP + (place % columns) * (width + GAP)}px`;
  cell.style.top = `${GAP + Math.floor(place / columns) * (HEIGHT + GAP)}px`;
}

function show() {
  const first = Math.max(0, Math.floor(scroller.scrollTop / (HEIGHT + GAP)) - 1) * columns;
  const last = Math.min(shown.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / (HEIGHT + GAP) + 1) * columns);
  for (const [place, cell] of cells) {
    if (place >= first && place < last) continue;
    cell.remove();
    cells.delete(place);
  }
  const added = [];
  for (let place = first; place < last; place += 1) {
    if (cells.has(place)) continue;
    const cell = makeCell(shown[place], place);
    cells.set(place, cell);
    put(cell, place);
    added.push(cell);
  }
  gallery.append(...added);
}

function title(item) {
  const becomes = item.becomes && item.becomes !== item.category ? ` → ${item.becomes}` : "";
  const score = item.score === undefined || item.score === 1 ? "" : ` ${item.score.toFixed(2)}`;
  const kind = `${item.kind.replaceAll("_", " ")}${score}`;
  return item.category ? `${kind}: ${item.category}${becomes}` : kind + becomes;
}

function makeCell(item, place) {
  const pictures = make("span", { class: "row" }, thumbnail(item, item.picture, true));
  if (item.pair) pictures.append(thumbnail(item, item.pair, false));
  const said = make("span", { class: "said" }, title(item), make("br"), item.file);
  const cell = make("button", { type: "button", class: "cell", "data-key": item.key }, pictures, said, make("span", { class: "word" }));
  cell.addEventListener("click", () => {
    go(place);
    open();
  });
  mark(cell, item, place);
  return cell;
}

function mark(cell, item, place) {
  const word = decisions.get(item.key) ?? "";
  cell.dataset.word = word;
  cell.classList.toggle("current", place === current);
  cell.tabIndex = place === current ? 0 : -1;
  cell.lastChild.className = `word ${word}`;
  cell.lastChild.textContent = WORDS[word] ?? "";
  cell.setAttribute("aria-label", `${title(item)}, ${item.file}, ${WORDS[word] ?? "undecided"}`);
}

function go(place) {
  current = Math.max(0, Math.min(shown.length - 1, place));
  const top = Math.floor(current / columns) * (HEIGHT + GAP);
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  const bottom = top + HEIGHT + 2 * GAP;
  if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
  show();
  for (const [other, cell] of cells) mark(cell, shown[other], other);
  if (viewer.open) fillViewer();
  else cells.get(current)?.focus({ preventScroll: true });
}

function decide(word) {
  const item = shown[current];
  if (!item) return;
  if (word) decisions.set(item.key, word);
  else decisions.delete(item.key);
  say(`${item.file}: ${WORDS[word] ?? "undecided"}`);
  save();
  tell();
  go(word ? current + 1 : current);
}

/* Viewer: the picture as large as the screen, a pair side by side. */

let zoomed = false;

function stage(item, picture, isOwn) {
  const boxes = isOwn ? boxesOf(item) : [];
  let view = extended([0, 0, ...picture.size], boxes);
  if (zoomed && boxes.length) {
    const [x, y, width, height] = boxes.at(-1);
    const side = 2.5 * Math.max(Math.abs(width), Math.abs(height), 8);
    view = [x + width / 2 - side / 2, y + height / 2 - side / 2, side, side];
  }
  const svg = draw("svg", { viewBox: view.join(" "), role: "img", "aria-label": picture.file });
  const caption = make("figcaption", {}, picture.file);
  if (picture.view) svg.append(sprite(picture));
  if (picture.large) {
    const image = draw("image", { href: picture.large, width: picture.size[0], height: picture.size[1], preserveAspectRatio: "none" });
    image.addEventListener("error", () => caption.append(" (the picture is not where it was: this is its thumbnail)"));
    svg.append(image);
  } else caption.append(` (${picture.problem})`);
  const outline = ([x, y, w, h], number) =>
    draw("path", { d: `M${x} ${y}h${w}v${h}h${-w}z`, class: picture.alone.includes(number) ? "mark drawn alone" : "mark drawn" });
  svg.append(...picture.drawn.map(outline));
  if (isOwn) {
    const size = Math.max(view[2], view[3]) / 45;
    const name = (text, [x, y]) => draw("text", { class: "name", x, y: y - size / 3, "font-size": size }, text);
    svg.append(...outlines(item));
    if (item.box && item.category) svg.append(name(item.category, item.box));
    if (item.suggested && item.becomes) svg.append(name(item.becomes, item.suggested));
  }
  return make("figure", {}, svg, caption);
}

function fillViewer() {
  const item = shown[current];
  if (!item) return;
  const word = WORDS[decisions.get(item.key)] ?? "undecided";
  byId("stages").replaceChildren(stage(item, item.picture, true), ...(item.pair ? [stage(item, item.pair, false)] : []));
  byId("told").replaceChildren(make("strong", {}, title(item)), ` ${item.message}. Accept: ${item.accepting}. `, make("em", {}, word), ` (${current + 1} of ${shown.length})`);
}

function open() {
  if (!shown[current]) return;
  fillViewer();
  if (!viewer.open) viewer.showModal();
}

/* Decisions as a file. Each item's own text is written as it stands, since ids may be larger than a number here. */

function exported() {
  const rows = items.filter((item) => decisions.has(item.key));
  const lines = rows.map((item) => `{"decision":"${decisions.get(item.key)}","about":${item.about}}`);
  return `{"detray":"decisions","version":1,"run":${JSON.stringify(data.name)},"decisions":[\n${lines.join(",\n")}\n]}\n`;
}

function download() {
  const url = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  make("a", { href: url, download: "decisions.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(`${decisions.size} decisions exported`);
}

async function read(file) {
  const plain = (text) => JSON.stringify(JSON.parse(text));
  try {
    const found = JSON.parse(await file.text());
    const words = new Map(found.decisions.map((row) => [JSON.stringify(row.about), row.decision]));
    for (const item of items) {
      const word = words.get(plain(item.about));
      if (Object.hasOwn(WORDS, word ?? "")) decisions.set(item.key, word);
    }
    save();
    filter();
  } catch {
    say("That file holds no decisions.");
  }
}

/* Keys and buttons. */

const KEYS = {
  a: () => decide("accept"),
  r: () => decide("reject"),
  s: () => decide("skip"),
  u: () => decide(""),
  z: () => zoom(),
  Enter: () => open(),
  ArrowLeft: () => go(current - 1),
  ArrowRight: () => go(current + 1),
  ArrowUp: () => go(current - columns),
  ArrowDown: () => go(current + columns),
  Home: () => go(0),
  End: () => go(shown.length - 1),
};

function zoom() {
  zoomed = !zoomed;
  if (viewer.open) fillViewer();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
  const isButton = event.target.matches("button:not(.cell)");
  if (!Object.hasOwn(KEYS, event.key) || (isButton && event.key === "Enter")) return;
  event.preventDefault();
  KEYS[event.key]();
});
for (const button of viewer.querySelectorAll("[data-word]")) button.addEventListener("click", () => decide(button.dataset.word));
for (const button of viewer.querySelectorAll("[data-step]")) button.addEventListener("click", () => go(current + Number(button.dataset.step)));
byId("zoom").addEventListener("click", zoom);
byId("close").addEventListener("click", () => viewer.close());
byId("export").addEventListener("click", download);
byId("import").addEventListener("change", (event) => event.target.files[0] && read(event.target.files[0]));
viewer.addEventListener("close", () => go(current));
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
scroller.addEventListener("scroll", show, { passive: true });
addEventListener("resize", layOut);

/** The filter that the address names, as in review.html#group=suspect&category=car. */
function followAddress() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const field = Object.hasOwn(FILTERS, name) ? form[name] : null;
    if (field && (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value))) field.value = value;
  }
  filter();
}

fillSelects();
followAddress();
addEventListener("hashchange", followAddress);
