/*
 * Lists of people and faces: choosing several by mouse and keys, naming one after the other, loading more while scrolling,
 * and the size of the pictures.
 */

import { forgetFocus, left } from "./keptstate.js";
import { add, bring, choose as chooseById, chosenAway, everyId, isChosen, nextWithoutName, returnToFocus } from "./longlist.js";
import { submitLive, tell } from "./page.js";

const SIZES = ["small", "medium", "large", "huge"];
const grid = () => document.querySelector("[data-grid]");
const items = () => [...(grid()?.children ?? [])].filter((item) => !item.matches(".blank"));
const box = (item) => item.querySelector('input[type="checkbox"]');
const handle = (item) => item.querySelector("a[data-picture], a.cover");
const current = () => document.activeElement?.closest?.("[data-grid] > li");

/* Choosing */

/** The id of the item from which a range goes on. */
let lastChosen = null;

function showChosen() {
  const form = document.querySelector("[data-selection]");
  if (!form) return;
  const count = items().filter((item) => box(item)?.checked).length + chosenAway();
  form.classList.toggle("active", count > 0);
  const words = form.querySelector(".chosen");
  words.dataset.none ??= words.textContent;
  words.textContent = count ? `${count.toLocaleString("en")} chosen` : words.dataset.none;
}

function choose(item, isChosen) {
  const checkbox = box(item);
  if (!checkbox) return;
  checkbox.checked = isChosen;
  lastChosen = item.id;
}

function chooseRange(from, to) {
  const all = everyId();
  const [first, last] = [all.indexOf(from), all.indexOf(to)].sort((one, two) => one - two);
  if (first < 0) return;
  for (const id of all.slice(first, last + 1)) chooseById(id, true);
  lastChosen = to;
}

document.addEventListener("click", (event) => {
  const item = event.target.closest?.("[data-grid] > li");
  if (!item || !event.target.matches('input[type="checkbox"]')) return;
  if (event.shiftKey && lastChosen && event.target.checked) chooseRange(lastChosen, item.id);
  lastChosen = item.id;
  showChosen();
});

document.addEventListener("change", showChosen);
document.addEventListener("refreshed", showChosen);

/* Moving by keys */

function step(from, key) {
  const all = items();
  if (!from) return all[0];
  const place = all.indexOf(from);
  const top = from.getBoundingClientRect().top;
  const columns = all.filter((item) => Math.abs(item.getBoundingClientRect().top - top) < 4).length || 1;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  return all[Math.min(all.length - 1, Math.max(0, place + by))];
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!grid() || document.querySelector("dialog[open]")) return;
  if (event.target.matches('input:not([type="checkbox"]), select, textarea, summary')) return;
  const item = current();
  if (event.key.startsWith("Arrow")) {
    if (!item && event.target !== document.body && !event.target.matches("main")) return;
    const next = step(item ?? returnToFocus(), event.key);
    if (!next) return;
    event.preventDefault();
    if (event.shiftKey && item) {
      chooseRange(item.id, next.id);
      showChosen();
    }
    (handle(next) ?? box(next))?.focus();
    next.scrollIntoView({ block: "nearest" });
  } else if (event.key === "s" && item) {
    event.preventDefault();
    choose(item, !box(item)?.checked);
    showChosen();
  } else if (event.key === "a") {
    event.preventDefault();
    const every = everyId().every(isChosen);
    for (const id of everyId()) chooseById(id, !every);
    showChosen();
  } else if (event.key === "Escape") {
    for (const id of everyId()) chooseById(id, false);
    showChosen();
  } else if (event.key === " " && item && event.target.matches("a")) {
    event.preventDefault();
    handle(item)?.click();
  }
});

/** The keys that do something in a field, beside letters. */
const FIELD_KEYS = new Set(["Enter", "Backspace", "Delete", "ArrowLeft", "ArrowRight", "Home", "End", "Escape"]);

/** What is typed goes into the field that was scrolled away from, and Tab goes on from there, as if it were in the page. */
addEventListener(
  "keydown",
  (event) => {
    if (!left || document.activeElement !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "Tab" && !(left.isField && (event.key.length === 1 || FIELD_KEYS.has(event.key)))) return;
    event.stopImmediatePropagation();
    if (event.key === "Escape") forgetFocus();
    else returnToFocus();
  },
  true,
);
addEventListener("click", (event) => event.detail && forgetFocus(), true);

/** A key that decides acts on the chosen ones; without any, on the one that has the focus. */
document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("[data-selection] button[name=action]");
    if (!button) return;
    const chosen = items().filter((item) => box(item)?.checked);
    if (!chosen.length && !chosenAway() && current()) {
      choose(current(), true);
      chosen.push(current());
    }
    const count = chosen.length + chosenAway();
    const [least, most] = [Number(button.dataset.least ?? 1), Number(button.dataset.most ?? Infinity)];
    if (count < least) {
      event.preventDefault();
      tell(least > 1 ? `Choose at least ${least} first.` : "Choose some first.");
    } else if (count > most) {
      event.preventDefault();
      tell(`Choose only ${most}.`);
    }
  },
  true,
);

/** The field for somebody else takes the focus from the face that it is about. */
document.addEventListener("reached", ({ target }) => {
  if (!target.closest("[data-selection]") || !current() || chosenAway() || items().some((item) => box(item)?.checked)) return;
  choose(current(), true);
  showChosen();
});

/* Naming: the next one without a name has the focus at once, while the name is on its way */

/** Give the focus to the field for the name of an item, in the page or not. */
function typeInto(id) {
  const item = bring(id);
  item?.querySelector("[data-naming] input[name=label]")?.focus();
  item?.scrollIntoView({ block: "nearest" });
}

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.matches("[data-naming]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const { id } = form.closest("[data-grid] > li");
    const next = nextWithoutName(id);
    submitLive(form, event.submitter).then((isDone) => isDone || document.querySelector("dialog[open]") || typeInto(id));
    if (next) typeInto(next);
  },
  true,
);

/* More while scrolling */

let isLoading = false;

async function loadMore(link) {
  if (isLoading) return;
  isLoading = true;
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } }).catch(() => null);
  isLoading = false;
  if (!answer?.ok || !link.isConnected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("list");
  if (!fresh) return;
  const list = document.getElementById("list");
  if (list.matches("[data-window]")) add([...fresh.children]);
  else for (const item of [...fresh.children]) if (!document.getElementById(item.id)) list.append(item);
  list.dataset.loaded = "more";
  const next = page.querySelector("[data-more]");
  if (next) link.href = next.href;
  else link.parentElement.remove();
  watch();
}

const observer = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && loadMore(document.querySelector("[data-more]")),
  { rootMargin: "1200px" },
);

function watch() {
  observer.disconnect();
  const link = document.querySelector("[data-more]");
  if (link) observer.observe(link);
}

document.addEventListener("refreshed", watch);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-more]");
  if (link) {
    event.preventDefault();
    loadMore(link);
  }
});

/* The size of pictures, kept in this browser where it keeps anything for pages (early.js) */

function resize(by) {
  const shown = SIZES.indexOf(document.documentElement.dataset.size ?? "medium");
  const size = SIZES[Math.min(SIZES.length - 1, Math.max(0, shown + by))];
  document.documentElement.dataset.size = size;
  try {
    localStorage.setItem("facesets-size", size);
  } catch {
    // the size holds for this page alone
  }
  document.dispatchEvent(new CustomEvent("resized"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-zoom]");
  if (button) resize(Number(button.dataset.zoom));
});

watch();
showChosen();
