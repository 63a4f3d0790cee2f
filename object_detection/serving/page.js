// The page: one image, its detections, and the selection of those to show.
"use strict";

const at = (id) => document.getElementById(id);
const LEAST = 0.01;  // of what the server is asked for; the slider hides the rest

const state = {image: null, name: "", objects: [], off: new Set(), chosen: null};
const view = {scale: 1, x: 0, y: 0};
let asked = 0;

// ---- requests ----

async function open(file) {
  if (!file) return;
  const turn = ++asked;
  showError("");
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return showError(`${file.name || "This"} is not an image that this browser supports.`);
  }
  if (turn !== asked) return;
  Object.assign(state, {image, file, name: file.name || "image", objects: [], chosen: null});
  at("invitation").hidden = true;
  at("stage").classList.add("holds");
  fit();
  await ask(turn);
}

async function ask(turn = ++asked) {
  if (!state.file) return;
  at("busy").hidden = false;
  const model = encodeURIComponent(at("model").value);
  try {
    const started = performance.now();
    const answer = await fetch(`score?prob=${LEAST}&model=${model}`, {
      method: "POST",
      headers: {"Accept": "application/json; masks=rle", "Content-Type": "application/octet-stream"},
      body: state.file,
    });
    const told = await answer.json();
    if (turn !== asked) return;
    if (!answer.ok) throw new Error(told.error);
    state.objects = told.map(prepared);
    state.chosen = null;
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    at("status").textContent =
      `${state.name}: ${state.image.width} × ${state.image.height}, ${seconds} s, ` +
      `version ${answer.headers.get("X-Model-Version")}`;
  } catch (fault) {
    if (turn !== asked) return;
    state.objects = [];
    showError(fault instanceof TypeError ? "The server does not respond." : fault.message);
  } finally {
    if (turn === asked) at("busy").hidden = true;
  }
  listClasses();
  show();
}

function prepared(row) {
  const {height, width} = state.image;
  const box = row.bounding_box.map((share, k) => share * (k % 2 ? width : height));
  return {...row, box, strokes: row.mask ? strokesOf(row.mask) : []};
}

function showError(text) {
  at("fault").textContent = text;
  at("fault").hidden = !text;
}

async function listModels() {
  const names = (await (await fetch("v1/models")).json()).models;
  at("model").replaceChildren(...names.map((name) => new Option(name)));
  document.querySelector(".model").hidden = names.length < 2;
}

// ---- selection ----

const least = () => at("threshold").valueAsNumber / 100;
const wanted = () => state.objects.filter((o) => o.confidence >= least() && !state.off.has(o.label));

function listClasses() {
  const labels = new Map(state.objects.map((o) => [o.label, o.class]));
  at("classes").replaceChildren(...[...labels].sort().map(([label, number]) => {
    const tick = Object.assign(document.createElement("input"), {type: "checkbox"});
    tick.checked = !state.off.has(label);
    tick.addEventListener("change", () => {
      state.off[tick.checked ? "delete" : "add"](label);
      show();
    });
    const row = document.createElement("label");
    row.append(tick, swatch(number), label, element("span", "", "number"));
    row.dataset.label = label;
    return row;
  }));
  at("classes-set").hidden = !labels.size;
}

function switchAll(on) {
  for (const row of at("classes").children) state.off[on ? "delete" : "add"](row.dataset.label);
  listClasses();
  show();
}

// ---- display ----

function show() {
  const objects = wanted();
  if (!objects.includes(state.chosen)) state.chosen = null;
  at("least").textContent = percent(least());
  for (const row of at("classes").children) {
    const count = state.objects.filter(
      (o) => o.label === row.dataset.label && o.confidence >= least()).length;
    row.querySelector(".number").textContent = count;
  }
  at("found").replaceChildren(...objects.map(rowOf));
  at("count").textContent = !state.image ? "No image yet"
    : `${objects.length} of ${state.objects.length} objects`;
  at("json").disabled = at("png").disabled = !state.image;
  draw();
}

function rowOf(found) {
  const row = document.createElement("tr");
  const [top, left, bottom, right] = found.box;
  const name = element("td", "");
  name.append(swatch(found.class), found.label);
  const size = `${Math.round(right - left)} × ${Math.round(bottom - top)}`;
  row.append(name, element("td", percent(found.confidence)), element("td", size));
  row.tabIndex = 0;
  row.setAttribute("aria-selected", found === state.chosen);
  row.classList.toggle("chosen", found === state.chosen);
  const choose = () => {
    state.chosen = state.chosen === found ? null : found;
    for (const other of at("found").children) {
      const chosen = other === row && state.chosen !== null;
      other.classList.toggle("chosen", chosen);
      other.setAttribute("aria-selected", chosen);
    }
    draw();
  };
  row.addEventListener("click", choose);
  row.addEventListener("keydown", (event) => {
    const next = {ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling}[event.key];
    if (event.key === "Enter" || event.key === " ") choose();
    else if (next) next.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return row;
}

function draw() {
  const canvas = at("canvas"), stage = at("stage"), ratio = window.devicePixelRatio || 1;
  canvas.width = stage.clientWidth * ratio;
  canvas.height = stage.clientHeight * ratio;
  if (!state.image) return;
  const pen = canvas.getContext("2d");
  pen.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
  pen.imageSmoothingEnabled = view.scale < 3;  // close up, pixels are squares
  pen.drawImage(state.image, 0, 0);
  drawObjects(pen, wanted(), shown(), view.scale, state.chosen);
}

const shown = () => Object.fromEntries(["masks", "boxes", "names"].map((id) => [id, at(id).checked]));

function fit() {
  const {clientWidth, clientHeight} = at("stage"), {width, height} = state.image;
  view.scale = Math.min(clientWidth / width, clientHeight / height);
  view.x = (clientWidth - width * view.scale) / 2;
  view.y = (clientHeight - height * view.scale) / 2;
  draw();
}

function zoom(factor, x = at("stage").clientWidth / 2, y = at("stage").clientHeight / 2) {
  if (!state.image) return;
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 60);
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  draw();
}

function move(x, y) {
  view.x += x;
  view.y += y;
  draw();
}

function element(tag, text, kind = "") {
  return Object.assign(document.createElement(tag), {textContent: text, className: kind});
}

function swatch(number) {
  const square = element("span", "", "swatch");
  square.style.background = colorOf(number);
  return square;
}

// ---- downloads ----

function saveAs(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${state.name.replace(/\.[^.]*$/, "")}${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function saveJson() {
  if (!state.image) return;
  const detections = wanted().map((o) => ({
    class: o.class, label: o.label, confidence: o.confidence,
    box: o.box.map((side) => Math.round(1000 * side) / 1000), mask: o.mask ?? null,
  }));
  const {width, height} = state.image;
  const whole = {
    image: state.name, height, width, box_format: "ymin, xmin, ymax, xmax in pixels", detections,
  };
  saveAs(new Blob([JSON.stringify(whole)], {type: "application/json"}), ".json");
}

function savePng() {
  if (!state.image) return;
  const picture = document.createElement("canvas");
  picture.width = state.image.width;
  picture.height = state.image.height;
  const pen = picture.getContext("2d");
  pen.drawImage(state.image, 0, 0);
  drawObjects(pen, wanted(), shown(), Math.min(1, 900 / Math.max(picture.width, picture.height)), null);
  picture.toBlob((blob) => saveAs(blob, "_detections.png"), "image/png");
}

// ---- mouse and keyboard ----

const KEYS = {
  o: () => at("file").click(), j: saveJson, p: savePng,
  m: () => at("masks").click(), b: () => at("boxes").click(), n: () => at("names").click(),
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
  0: () => state.image && fit(),
};
const ARROWS = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]};

function listen() {
  const stage = at("stage");
  at("file").addEventListener("change", () => { open(at("file").files[0]); at("file").value = ""; });
  at("model").addEventListener("change", () => ask());
  at("threshold").addEventListener("input", show);
  for (const id of ["masks", "boxes", "names"]) at(id).addEventListener("change", draw);
  at("all").addEventListener("click", () => switchAll(true));
  at("none").addEventListener("click", () => switchAll(false));
  at("in").addEventListener("click", () => zoom(1.25));
  at("out").addEventListener("click", () => zoom(0.8));
  at("fit").addEventListener("click", () => state.image && fit());
  at("json").addEventListener("click", saveJson);
  at("png").addEventListener("click", savePng);
  window.addEventListener("resize", draw);
  window.addEventListener("paste", (event) => open(event.clipboardData.files[0]));
  window.addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
  window.addEventListener("dragleave", () => stage.classList.remove("over"));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    open(event.dataTransfer.files[0]);
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, {passive: false});
  stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) move(event.movementX, event.movementY);
  });
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (KEYS[event.key]) KEYS[event.key]();
    else if (event.target === stage && ARROWS[event.key]) move(...ARROWS[event.key]);
    else return;
    event.preventDefault();
  });
}

listen();
listModels().catch(() => showError("The server does not respond."));
show();
at("classes-set").hidden = true;
