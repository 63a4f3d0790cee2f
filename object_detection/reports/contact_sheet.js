"use strict";
const cards = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll(".tab")];
const state = { view: tabs[0].dataset.view, classes: new Set(), findings: new Set(), search: "" };
const NO_OBJECTS = "(no object)";
let shown = []; // the cards that pass the filters
let current = 0; // which of them is enlarged

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const unique = (values) => [...new Set(values)];
const classesOf = (card) =>
  card.objects.length ? unique(card.objects.map((each) => each.name)) : [NO_OBJECTS];
const findingsOf = (card) => unique(card.findings.map(([, reason]) => reason));
const kindClass = (severity) => ({ lost: "lost", "worth a look": "look" })[severity] || "";

// One class and one finding of those chosen suffice; both lists, and the search, have to agree.
function passes(card) {
  const among = (chosen, values) => !chosen.size || values.some((value) => chosen.has(value));
  return (
    card.view === state.view &&
    among(state.classes, classesOf(card)) &&
    among(state.findings, findingsOf(card)) &&
    `${card.id} ${card.place}`.toLowerCase().includes(state.search.toLowerCase())
  );
}

function countBy(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return counts;
}

function fillChips(holder, counts, chosen, severities = new Map()) {
  const rank = (name) => ["lost", "worth a look", "fact"].indexOf(severities.get(name));
  const names = [...counts.keys()].sort(
    (a, b) => rank(a) - rank(b) || counts.get(b) - counts.get(a) || a.localeCompare(b),
  );
  holder.replaceChildren(
    ...names.map((name) => {
      const box = element("input", { type: "checkbox", value: name, checked: chosen.has(name) });
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(name);
        else chosen.delete(name);
        showCards();
      });
      const count = element("span", { class: "count" }, String(counts.get(name)));
      const label = element("span", { class: kindClass(severities.get(name)) }, name);
      return element("label", {}, box, label, count);
    }),
  );
  if (!names.length) holder.append("none");
}

function showFilters() {
  const here = cards.filter((card) => card.view === state.view);
  const severities = new Map(here.flatMap((c) => c.findings.map(([kind, reason]) => [reason, kind])));
  fillChips(byId("classes"), countBy(here.flatMap(classesOf)), state.classes);
  fillChips(byId("findings"), countBy(here.flatMap(findingsOf)), state.findings, severities);
  findClasses();
}

function findClasses() {
  const wanted = byId("class-search").value.toLowerCase();
  for (const label of byId("classes").querySelectorAll("label"))
    label.hidden = !label.querySelector("input").value.toLowerCase().includes(wanted);
}

function picture(card) {
  if (!card.picture)
    return element("div", { class: "no-picture" }, "no picture: " + findingsOf(card).join(", "));
  return element("img", { src: card.picture, alt: `${card.id}: ${inWords(card)}`, decoding: "async" });
}

function inWords(card) {
  const counts = countBy(card.objects.map((each) => each.name));
  const named = [...counts].map(([name, count]) => (count > 1 ? `${count} ${name}` : name));
  return named.join(", ") || "no object";
}

function badges(card) {
  const marked = unique(card.findings.filter(([kind]) => kind !== "fact").map((f) => f.join("\n")));
  const reasons = new Map(marked.map((text) => [text.split("\n")[1], text.split("\n")[0]]));
  return [...reasons].map(([reason, kind]) => element("span", { class: kindClass(kind) }, reason));
}

function cardButton(card, number) {
  const size = card.size ? `${card.size[0]} x ${card.size[1]}` : "";
  const words = element(
    "div",
    { class: "words" },
    element("div", { class: "id" }, card.id),
    element("small", {}, [size, inWords(card)].filter(Boolean).join(" · ")),
    element("div", { class: "badges" }, ...badges(card)),
  );
  const button = element("button", { type: "button", class: "card" }, picture(card), words);
  button.addEventListener("click", () => enlarge(number));
  return button;
}

function showCards() {
  shown = cards.filter(passes);
  byId("cards").replaceChildren(...shown.map(cardButton));
  const all = cards.filter((card) => card.view === state.view).length;
  byId("status").textContent = `${shown.length} of ${all} drawn images`;
  byId("clear").hidden = !(state.classes.size || state.findings.size || state.search);
  writeAddress();
}

function showView(view) {
  state.view = view;
  for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.view === view));
  for (const part of document.querySelectorAll(".tables")) part.hidden = part.dataset.view !== view;
  showFilters();
  showCards();
}

function clear() {
  state.classes.clear();
  state.findings.clear();
  state.search = byId("search").value = byId("class-search").value = "";
  showFilters();
  showCards();
}

// The filters stand in the address, so that a reload or a link shows the same.
function writeAddress() {
  const words = new URLSearchParams({ view: state.view });
  for (const name of state.classes) words.append("class", name);
  for (const name of state.findings) words.append("finding", name);
  if (state.search) words.set("search", state.search);
  try {
    history.replaceState(null, "", `#${words}`);
  } catch {
    // A page inside another may not change its address.
  }
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  state.classes = new Set(words.getAll("class"));
  state.findings = new Set(words.getAll("finding"));
  state.search = byId("search").value = words.get("search") || "";
  const view = words.get("view");
  return tabs.some((tab) => tab.dataset.view === view) ? view : state.view;
}

function objectRow(each, number) {
  const marks = [each.crowd && "crowd", each.difficult && "difficult"].filter(Boolean).join(", ");
  const [top, left, bottom, right] = each.box;
  const cells = [
    `#${number + 1}`,
    each.name + (marks ? ` (${marks})` : ""),
    `${Math.round(bottom - top)} x ${Math.round(right - left)} at ${Math.round(top)}, ${Math.round(left)}`,
    each.mask === null ? "" : String(each.mask),
  ];
  return element("tr", {}, ...cells.map((text) => element("td", {}, text)));
}

function othersOf(card) {
  return cards.filter((each) => each.id === card.id && each.view !== card.view);
}

function enlarge(number) {
  if (!shown.length) return;
  current = (number + shown.length) % shown.length;
  fillDialog(shown[current]);
  byId("counter").textContent = `${current + 1} of ${shown.length}`;
  if (!byId("large").open) byId("large").showModal();
}

function fillDialog(card) {
  const findings = card.findings.map(([kind, reason, detail]) =>
    element("li", { class: kindClass(kind) }, detail ? `${reason}: ${detail}` : reason),
  );
  const head = ["", "class", "height x width at top, left", "mask pixels"];
  const objects = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {}, text)))),
    element("tbody", {}, ...card.objects.map(objectRow)),
  );
  const size = card.size ? `, ${card.size[0]} x ${card.size[1]} (height x width)` : "";
  byId("inside").replaceChildren(
    picture(card),
    element(
      "div",
      {},
      element("h2", {}, card.id),
      element("p", {}, card.place + size),
      element("ul", {}, ...findings),
      card.objects.length ? element("div", { class: "scroll" }, objects) : "no object",
    ),
  );
  byId("other").hidden = !othersOf(card).length;
  byId("other").onclick = () => fillDialog(othersOf(card)[0]);
}

function moveFocus(key) {
  const buttons = [...byId("cards").children];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0) return false;
  const top = buttons[0].offsetTop;
  const columns = buttons.filter((button) => button.offsetTop === top).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const target = buttons[at + step];
  if (target) target.focus();
  return Boolean(target);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
  const dialog = byId("large");
  if (dialog.open) {
    if (event.key === "ArrowLeft") enlarge(current - 1);
    else if (event.key === "ArrowRight") enlarge(current + 1);
    else if (event.key === "v" && !byId("other").hidden) byId("other").click();
    return;
  }
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key.startsWith("Arrow")) {
    if (moveFocus(event.key)) event.preventDefault();
  } else if (event.key === "/") {
    byId("search").focus();
    event.preventDefault();
  } else if (event.key === "c") {
    clear();
  } else if (event.key === "v") {
    const at = tabs.findIndex((tab) => tab.dataset.view === state.view);
    showView(tabs[(at + 1) % tabs.length].dataset.view);
  }
}

for (const tab of tabs) tab.addEventListener("click", () => showView(tab.dataset.view));
document.querySelector(".tabs").hidden = tabs.length < 2;
byId("search").addEventListener("input", (event) => {
  state.search = event.target.value;
  showCards();
});
byId("class-search").addEventListener("input", findClasses);
byId("clear").addEventListener("click", clear);
byId("previous").addEventListener("click", () => enlarge(current - 1));
byId("next").addEventListener("click", () => enlarge(current + 1));
byId("close").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("click", (event) => {
  if (event.target === byId("large")) byId("large").close();
});
byId("large").addEventListener("close", () => byId("cards").children[current]?.focus());
document.addEventListener("keydown", onKey);
if (matchMedia("(max-width: 50rem)").matches)
  for (const part of document.querySelectorAll("details")) part.open = false;
showView(readAddress());
