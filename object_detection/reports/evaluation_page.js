"use strict";
const cards = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll(".tab")];
const boxes = [...document.querySelectorAll("#kinds input")];
let kind = tabs[0].dataset.kind;
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

function picture(card) {
  if (!card.picture) return element("span", { class: "no-picture" }, "no picture: the image cannot be read");
  return element("img", { src: card.picture, alt: `${card.id} with its errors` });
}

// The errors of a card that the ticked kinds and the chosen class leave; none hides the card.
function errorsOf(card) {
  const ticked = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const chosen = byId("class").value;
  return card.errors.filter(
    (error) => ticked.has(error.kind) && (!chosen || error.classes.includes(chosen)),
  );
}

const list = (errors) => element("ul", {}, ...errors.map((error) => element("li", {}, error.text)));

function showCards() {
  const here = cards.filter((card) => card.view === kind);
  shown = here.filter((card) => errorsOf(card).length);
  byId("status").textContent = `${shown.length} of ${here.length} drawn images`;
  byId("cards").replaceChildren(
    ...shown.map((card, place) => {
      const errors = errorsOf(card);
      const more = errors.length > 4 ? [element("small", {}, `and ${errors.length - 4} more`)] : [];
      const words = element("span", { class: "words" },
        element("span", { class: "id" }, card.id), list(errors.slice(0, 4)), ...more);
      const button = element("button", { class: "card", type: "button" }, picture(card), words);
      button.addEventListener("click", () => enlarge(place));
      return button;
    }),
  );
}

function enlarge(place) {
  if (!shown.length) return;
  current = (place + shown.length) % shown.length;
  const card = shown[current];
  byId("counter").textContent = `${current + 1} of ${shown.length}`;
  const words = element("div", {}, element("h2", {}, card.id), element("p", {}, card.name),
    element("p", {}, `${card.found} found well, ${card.errors.length} errors`), list(card.errors));
  byId("inside").replaceChildren(element("div", {}, picture(card)), words);
  if (!byId("large").open) byId("large").showModal();
}

function show() {
  for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.kind === kind));
  for (const part of document.querySelectorAll(".kind")) part.hidden = part.dataset.kind !== kind;
  const chosen = byId("class").value;
  document.body.classList.toggle("one-class", Boolean(chosen));
  for (const part of document.querySelectorAll("[data-class]"))
    part.classList.toggle("chosen", Boolean(chosen) && part.dataset.class === chosen);
  showCards();
}

for (const tab of tabs)
  tab.addEventListener("click", () => {
    kind = tab.dataset.kind;
    show();
  });
byId("class").addEventListener("change", show);
for (const box of boxes) box.addEventListener("change", showCards);
byId("previous").addEventListener("click", () => enlarge(current - 1));
byId("next").addEventListener("click", () => enlarge(current + 1));
byId("close").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") enlarge(current - 1);
  if (event.key === "ArrowRight") enlarge(current + 1);
});
if (tabs.length < 2) document.querySelector(".tabs").hidden = true;
show();
