/*
 * A long list has only the items near the view in the page. The others are kept as text, and their rows are left blank, so
 * that every item stays at its place. All rows of such a list are of one height.
 */

import { morph } from "./morph.js";

/** The pixels above and below the view that have their items; half of them at least. */
const MARGIN = 1600;
/** A list with fewer items than these stays whole. */
const LEAST = 360;

/** The ids of all items that were loaded; those from `first` to `last` are in the page. */
let order = [];
let first = 0;
let last = 0;
/** The text of each item that is not in the page, by its id. */
const texts = new Map();
/** The id of the item that had the focus when it was taken out. */
let left = null;
/** The items that the latest decision took away, each behind the id of another one, and whether it was undone. */
let gone = { items: [], isUndone: false };

const list = () => document.querySelector("#list[data-window]");
const inPage = () => [...(list()?.children ?? [])].filter((child) => !child.matches(".blank"));
const boxOf = (item) => item?.querySelector('input[type="checkbox"]');
const awayOf = (id) => document.getElementById(`away-${id}`)?.firstChild;

/** Whether the list has items that are not in the page. */
const isCut = () => texts.size > 0;

/** Take note of the items in the page, as the only ones. */
function begin() {
  order = inPage().map((item) => item.id);
  [first, last] = [0, order.length];
  texts.clear();
  left = null;
  gone = { items: [], isUndone: false };
}

/** The checkboxes of chosen items that are not in the page; a form has them by its id. */
function awayBoxes() {
  let boxes = document.getElementById("away");
  if (!boxes) {
    boxes = document.createElement("div");
    boxes.id = "away";
    boxes.hidden = true;
    document.body.append(boxes);
  }
  return boxes;
}

function chooseAway(id, isChosen, sample) {
  document.getElementById(`away-${id}`)?.remove();
  if (!isChosen) return;
  const [place, box] = [document.createElement("span"), sample.cloneNode()];
  place.id = `away-${id}`;
  box.value = id.slice(id.lastIndexOf("-") + 1);
  box.checked = true;
  place.append(box);
  awayBoxes().append(place);
}

/** Choose an item, in the page or not. */
export function choose(id, isChosen) {
  const item = document.getElementById(id);
  if (item) {
    const box = boxOf(item);
    if (box) box.checked = isChosen;
  } else if (texts.has(id)) {
    chooseAway(id, isChosen, boxOf(inPage()[0]));
  }
}

/** The ids of all items, in the page or not. */
export function everyId() {
  return isCut() ? order : [...(document.querySelector("[data-grid]")?.children ?? [])].map((item) => item.id);
}

/** Whether an item is chosen. */
export function isChosen(id) {
  return Boolean(boxOf(document.getElementById(id))?.checked || awayOf(id)?.checked);
}

/** How many items are chosen that are not in the page. */
export function chosenAway() {
  return document.querySelectorAll("#away input:checked").length;
}

/** Add items at the end. */
export function add(items) {
  const known = new Set(order);
  const fresh = items.filter((item) => !known.has(item.id) && !document.getElementById(item.id));
  const isAtEnd = last === order.length;
  for (const item of fresh) {
    order.push(item.id);
    if (isAtEnd) list().append(item);
    else texts.set(item.id, item.outerHTML);
  }
  if (isAtEnd) last = order.length;
  settle();
}

function takeOut(item) {
  if (item.contains(document.activeElement)) left = item.id;
  if (boxOf(item)?.checked) chooseAway(item.id, true, boxOf(item));
  texts.set(item.id, item.outerHTML);
  item.remove();
}

/** Put the items from one place to another into the page, before an element. */
function putBack(from, to, place) {
  if (from >= to) return;
  const ids = order.slice(from, to);
  const items = document.createRange().createContextualFragment(ids.map((id) => texts.get(id)).join(""));
  for (const item of items.children) {
    const box = boxOf(item);
    if (box) box.checked = Boolean(awayOf(item.id)?.checked);
    document.getElementById(`away-${item.id}`)?.remove();
    texts.delete(item.id);
  }
  list().insertBefore(items, place);
  if (left && ids.includes(left)) {
    if (document.activeElement === document.body) document.getElementById(left).querySelector("a, input").focus({ preventScroll: true });
    left = null;
  }
}

/** Leave the height of some rows blank before or behind the items. */
function leaveBlank(side, height) {
  let blank = document.getElementById(`blank-${side}`);
  if (height <= 0) {
    blank?.remove();
    return;
  }
  if (!blank) {
    blank = document.createElement("li");
    blank.id = `blank-${side}`;
    blank.className = "blank";
    blank.ariaHidden = "true";
  }
  blank.style.height = `${height}px`;
  if (side === "before") list().prepend(blank);
  else list().append(blank);
}

/** The columns of the list, the height of a row with the gap below it, and that gap. */
function measures() {
  const style = getComputedStyle(list());
  const gap = parseFloat(style.rowGap) || 0;
  return { columns: style.gridTemplateColumns.split(" ").length, row: inPage()[0].getBoundingClientRect().height + gap, gap };
}

/** Have the items near the view in the page, and no others. */
export function settle() {
  if (!list() || !inPage().length || (order.length < LEAST && !isCut())) return;
  const { columns, row, gap } = measures();
  const top = -list().getBoundingClientRect().top;
  const rows = Math.ceil(order.length / columns);
  const within = (margin) => [
    Math.min(Math.max(0, Math.floor((top - margin) / row)), rows - 1) * columns,
    Math.min(order.length, Math.min(Math.max(1, Math.ceil((top + innerHeight + margin) / row)), rows) * columns),
  ];
  const [from, to] = within(MARGIN);
  const [leastFrom, leastTo] = within(MARGIN / 2);
  const isEnough = first <= leastFrom && last >= leastTo && first % columns === 0;
  if (isEnough && last - first <= 1.5 * (to - from)) return;
  list().dataset.cut = "";
  const places = new Map(order.map((id, place) => [id, place]));
  for (const item of inPage()) {
    const place = places.get(item.id);
    if (place < from || place >= to) takeOut(item);
  }
  const [kept, next] = [inPage()[0] ?? null, document.getElementById("blank-after")];
  if (kept) {
    putBack(from, first, kept);
    putBack(last, to, next);
  } else {
    putBack(from, to, next);
  }
  [first, last] = [from, to];
  leaveBlank("before", (first / columns) * row - gap);
  leaveBlank("after", (rows - Math.ceil(last / columns)) * row - gap);
  if (!isCut()) delete list().dataset.cut;
}

/** Return the item that had the focus when it was taken out, in the page and in view again; null without any. */
export function returnToFocus() {
  if (!left || !texts.has(left)) return null;
  const { columns, row } = measures();
  const id = left;
  const top = list().getBoundingClientRect().top + scrollY + Math.floor(order.indexOf(id) / columns) * row;
  scrollTo({ top: top - innerHeight / 2, behavior: "instant" });
  settle();
  return document.getElementById(id);
}

let isWaiting = false;

function soon() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    settle();
  });
}

function forget(ids) {
  first -= order.slice(0, first).filter((id) => ids.has(id)).length;
  last -= order.slice(0, last).filter((id) => ids.has(id)).length;
  order = order.filter((id) => !ids.has(id));
  for (const id of ids) {
    document.getElementById(id)?.remove();
    texts.delete(id);
  }
}

/** Add an item behind another one, or at the beginning. */
function insert(id, text, behind) {
  if (order.includes(id)) return;
  const place = order.indexOf(behind) + 1;
  order.splice(place, 0, id);
  texts.set(id, text);
  if (place > last) return;
  last += 1;
  if (place < first) first += 1;
  else putBack(place, place + 1, document.getElementById(order[place + 1]) ?? document.getElementById("blank-after"));
}

/** A decision took items away, in the page or not. */
document.addEventListener("gone", ({ detail }) => {
  if (!isCut()) return;
  const known = order.filter((id) => detail.has(id));
  if (known.length) {
    const text = (id) => texts.get(id) ?? document.getElementById(id).outerHTML;
    gone = { items: known.map((id) => ({ id, text: text(id), behind: order[order.indexOf(id) - 1] })), isUndone: false };
  }
  forget(new Set(known));
});

for (const way of ["undo", "redo"]) {
  document.addEventListener(way, () => {
    if (!isCut() || gone.isUndone === (way === "undo")) return;
    gone.isUndone = way === "undo";
    if (gone.isUndone) for (const { id, text, behind } of gone.items) insert(id, text, behind);
    else forget(new Set(gone.items.map(({ id }) => id)));
    settle();
  });
}

/** The first items came anew. */
document.addEventListener("renewed", ({ detail }) => {
  for (const [place, fresh] of detail.entries()) {
    const item = document.getElementById(fresh.id);
    if (item) morph(item, fresh);
    else if (texts.has(fresh.id)) texts.set(fresh.id, fresh.outerHTML);
    else insert(fresh.id, fresh.outerHTML, detail[place - 1]?.id);
  }
});

document.addEventListener("refreshed", () => {
  for (const place of document.querySelectorAll("#away > span")) if (!place.firstChild.checked) place.remove();
  if (!isCut() || !("cut" in (list()?.dataset ?? {}))) {
    document.getElementById("away")?.remove();
    begin();
  }
  settle();
});

addEventListener("scroll", soon, { passive: true });
addEventListener("resize", soon);
document.addEventListener("resized", settle);
begin();
