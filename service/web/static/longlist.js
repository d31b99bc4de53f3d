/*
 * A long list has only the items near the view in the page. The others are kept as text, and their rows are left blank, so
 * that every item stays at its place. What was chosen or typed in them, and the focus, are kept too (keptstate.js).
 */

import { awayOf, boxOf, chooseAway, focusWithin, forgetFocus, forgetState, giveBack, keepState, left } from "./keptstate.js";
import { morph } from "./morph.js";

/** The pixels above and below the view that have their items; half of them at least. */
const MARGIN = 1600;
/** A list with fewer items than these stays whole. */
const LEAST = 360;

/** The ids of all items that were loaded; those from `first` to `last` are in the page. */
let order = [];
let first = 0;
let last = 0;
/** The height of each row that was measured, with the gap below it, in pixels. */
let heights = [];
/** The height that rows have which were not measured. It stays, so that a row does not move while others are measured. */
let usual = 0;
/** The columns and the width that the heights are of. */
let shape = "";
/** The text of each item that is not in the page, by its id. */
const texts = new Map();
/**
 * The items that a decision took away, each behind the id of another one, the id of the latest such decision, and whether
 * it was undone.
 */
let gone = { items: [], decision: undefined, isUndone: false };

const list = () => document.querySelector("#list[data-window]");
const inPage = () => [...(list()?.children ?? [])].filter((child) => !child.matches(".blank"));

/** Whether the list has items that are not in the page. */
const isCut = () => texts.size > 0;

/** Take note of the items in the page, as the only ones. */
function begin() {
  order = inPage().map((item) => item.id);
  [first, last] = [0, order.length];
  texts.clear();
  forgetFocus();
  inPage().forEach(giveBack);
  gone = { items: [], decision: undefined, isUndone: false };
}

/** Choose an item, in the page or not. */
export function choose(id, isChosen) {
  const item = document.getElementById(id);
  const box = boxOf(item ?? inPage()[0]);
  if (!box) return;
  if (item) box.checked = isChosen;
  else if (texts.has(id)) chooseAway(id, isChosen, box);
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
    if (isAtEnd) {
      list().append(item);
      giveBack(item);
    } else {
      texts.set(item.id, item.outerHTML);
    }
  }
  if (isAtEnd) last = order.length;
  settle();
}

function takeOut(item) {
  keepState(item);
  texts.set(item.id, item.outerHTML);
  item.remove();
}

/** Put the items from one place to another into the page, before an element. */
function putBack(from, to, place) {
  if (from >= to) return;
  const ids = order.slice(from, to);
  list().insertBefore(document.createRange().createContextualFragment(ids.map((id) => texts.get(id)).join("")), place);
  for (const id of ids) {
    texts.delete(id);
    giveBack(document.getElementById(id));
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

/** Measure the rows in the page. Return the columns of the list and the gap between rows. */
function measure() {
  const style = getComputedStyle(list());
  const [columns, gap] = [style.gridTemplateColumns.split(" ").length, parseFloat(style.rowGap) || 0];
  const now = `${columns} ${list().clientWidth}`;
  const measured = inPage().filter((_, place) => place % columns === 0).map((item) => item.getBoundingClientRect().height + gap);
  if (now !== shape) [shape, heights, usual] = [now, [], measured.reduce((sum, one) => sum + one, 0) / measured.length];
  if (first % columns === 0) for (const [row, height] of measured.entries()) heights[first / columns + row] = height;
  return { columns, gap };
}

/** The pixels from the beginning of the list to a row. */
function topOf(row) {
  let top = 0;
  for (let at = 0; at < row; at += 1) top += heights[at] ?? usual;
  return top;
}

/** The row of so many that is at a height of the list, or the nearest one. */
function rowAt(y, rows) {
  let [row, bottom] = [0, heights[0] ?? usual];
  while (bottom <= y && row < rows - 1) {
    row += 1;
    bottom += heights[row] ?? usual;
  }
  return row;
}

/** The first item that stays in the page and is in view or below it, with its place on the screen; null without any. */
function anchorOf(from, to, places) {
  for (const item of inPage()) {
    const { top, bottom } = item.getBoundingClientRect();
    const place = places.get(item.id);
    if (bottom > 0 && place >= from && place < to) return { item, top };
  }
  return null;
}

/** Have the items near the view in the page, and no others. */
export function settle() {
  if (!list() || !inPage().length || (order.length < LEAST && !isCut())) return;
  const { columns, gap } = measure();
  const top = -list().getBoundingClientRect().top;
  const rows = Math.ceil(order.length / columns);
  const within = (margin) => [
    rowAt(top - margin, rows) * columns,
    Math.min(order.length, (rowAt(top + innerHeight + margin, rows) + 1) * columns),
  ];
  const [from, to] = within(MARGIN);
  const [leastFrom, leastTo] = within(MARGIN / 2);
  const isEven = first % columns === 0;
  if (isEven && first <= leastFrom && last >= leastTo && last - first <= 1.5 * (to - from)) return;
  list().dataset.cut = "";
  const places = new Map(order.map((id, place) => [id, place]));
  const anchor = isEven ? anchorOf(from, to, places) : null;
  for (const item of inPage()) {
    const place = places.get(item.id);
    if (place < from || place >= to) takeOut(item);
  }
  const [kept, next] = [inPage()[0], document.getElementById("blank-after")];
  if (kept) putBack(from, first, kept);
  putBack(kept ? last : from, to, next);
  [first, last] = [from, to];
  measure();
  leaveBlank("before", topOf(first / columns) - gap);
  leaveBlank("after", topOf(rows) - topOf(Math.ceil(last / columns)) - gap);
  if (!isCut()) delete list().dataset.cut;
  // Rows above the view may be of another height than was expected of them.
  const moved = anchor ? anchor.item.getBoundingClientRect().top - anchor.top : 0;
  if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
}

/** Return an item, in the page and near the view; null where it was never loaded. */
export function bring(id) {
  if (texts.has(id)) {
    const { columns } = measure();
    const top = list().getBoundingClientRect().top + scrollY + topOf(Math.floor(order.indexOf(id) / columns));
    scrollTo({ top: top - innerHeight / 2, behavior: "instant" });
    settle();
  }
  return document.getElementById(id);
}

/** Return the item that had the focus when it was taken out, in the page and in view again; null without any. */
export function returnToFocus() {
  const id = left?.id;
  if (!texts.has(id)) return null;
  const item = bring(id);
  focusWithin(item);
  return item;
}

/** The id of the next item with a field for a name, in the page or not; undefined without any. */
export function nextWithoutName(id) {
  const all = everyId();
  const isNaming = (one) => texts.get(one)?.includes("data-naming") ?? document.getElementById(one)?.querySelector("[data-naming]");
  return all.slice(all.indexOf(id) + 1).find(isNaming);
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
    forgetState(id);
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
document.addEventListener("gone", ({ detail: { ids, decision } }) => {
  if (!isCut()) return;
  const known = order.filter((id) => ids.has(id));
  if (known.length) {
    const text = (id) => texts.get(id) ?? document.getElementById(id).outerHTML;
    const items = known.map((id) => ({ id, text: text(id), behind: order[order.indexOf(id) - 1] }));
    gone = { items, decision, isUndone: false };
  }
  forget(new Set(known));
});

for (const way of ["undo", "redo"]) {
  document.addEventListener(way, ({ detail }) => {
    if (!isCut() || gone.decision !== detail || gone.isUndone === (way === "undo")) return;
    gone.isUndone = way === "undo";
    if (gone.isUndone) for (const { id, text, behind } of gone.items) insert(id, text, behind);
    else forget(new Set(gone.items.map(({ id }) => id)));
    settle();
  });
}

/** The items of one page of the list came anew. */
document.addEventListener("renewed", ({ detail: { items, isLater } }) => {
  for (const [place, fresh] of items.entries()) {
    const [item, behind] = [document.getElementById(fresh.id), items[place - 1]?.id];
    if (item) morph(item, fresh);
    else if (texts.has(fresh.id)) texts.set(fresh.id, fresh.outerHTML);
    else if (!isLater || order.includes(behind)) insert(fresh.id, fresh.outerHTML, behind);
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
