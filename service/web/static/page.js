/*
 * What all pages do beyond plain links and forms: forms are sent in the background and the page is made like the answer,
 * pictures and questions open in a dialog, and every element with `data-key` is reached by that key.
 */

import { morph } from "./morph.js";

/** Where the service answers: `/`, or the base path with a slash at its end. This script lies two folders below it. */
export const BASE = new URL("../..", import.meta.url).pathname;
const RETRY_MILLISECONDS = 2000;
const MOST_TRIES = 30;
const MESSAGE_MILLISECONDS = 6000;
/** Decisions after which the chosen faces are no longer in the list. */
const LEAVING = new Set(["reject", "move", "split", "ignore", "not_a_face"]);

/* What was done, and what went wrong */

const toast = document.getElementById("toast");
let fading = 0;
/** The latest decision with its undo, while a message stands in its place. */
let decided = [];

/** Show a sentence for a while, and then the latest decision again. */
export function tell(words) {
  if (!toast) return;
  if (toast.querySelector("form")) decided = [...toast.childNodes];
  toast.textContent = words;
  clearTimeout(fading);
  fading = setTimeout(() => toast.replaceChildren(...decided), MESSAGE_MILLISECONDS);
}

/** Show the toast of an answer: what was decided, with its undo. */
export function showToast(page) {
  const fresh = page.getElementById("toast");
  if (!toast || !fresh) return;
  clearTimeout(fading);
  decided = [...fresh.childNodes];
  toast.replaceChildren(...decided);
}

/** The id of the decision that an answer tells of; undefined without any. */
export const decisionOf = (page) => page.querySelector("#toast input[name=decision]")?.value;

/* Forms */

/** How many forms are on their way, or wait for those before them. */
let underway = 0;

/** Count a form that waits; the page asks before it is left. */
export function hold(by) {
  underway += by;
}

addEventListener("beforeunload", (event) => underway && event.preventDefault());

function connection() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, RETRY_MILLISECONDS);
    addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Send the fields of a form, again and again until the service answers. Its key makes sure that it is done once. */
export async function send(action, fields) {
  hold(1);
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await fetch(action, { method: "POST", body: fields, headers: { Accept: "text/html" } });
      if (answer.status === 503 && tries < MOST_TRIES) throw new Error("not available");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      hold(-1);
      return { answer, page, isDone: answer.ok && !isLogin(page) };
    } catch {
      tell("No connection. This is done as soon as it is back.");
      await connection();
    }
  }
}

/** Whether the login page came in place of an answer: the session has ended. */
const isLogin = (page) => page.getElementById("login") !== null;

/** The message of an error page, or of a login page that came instead of the answer. */
export function trouble(answer, page) {
  if (isLogin(page)) {
    setTimeout(() => location.reload(), RETRY_MILLISECONDS);
    return "You are logged out, and this is not done. Log in, and do it again.";
  }
  return page.querySelector("[data-trouble]")?.textContent ?? `The service answered ${answer.status}.`;
}

/**
 * Make this page like an answer. `gone`: ids of elements of the list that the decision removed, null: all that was loaded
 * behind the first page. `isLater`: the answer is a page further on in the list.
 */
export function refresh(page, gone = new Set(), isLater = false) {
  const main = document.getElementById("main");
  const fresh = page.getElementById("main");
  if (isLogin(page)) location.reload();
  if (!fresh || isLogin(page)) return;
  const list = document.getElementById("list");
  const focused = document.activeElement.closest?.("#list > *");
  const neighbours = focused ? [...following(focused), ...following(focused, "previousElementSibling")] : [];
  if (isLater && list) {
    renewLater(list, [...(page.getElementById("list")?.children ?? [])]);
    takeAway(gone ?? new Set(), page);
  } else {
    if (gone) keepLoaded(list, page, gone);
    else delete list?.dataset.cut;
    morph(main, fresh);
  }
  if (focused && !focused.isConnected) neighbours.find((one) => one.isConnected)?.querySelector("a, input")?.focus();
  showToast(page);
  document.dispatchEvent(new CustomEvent("refreshed"));
}

function renewLater(list, items) {
  if ("cut" in list.dataset) {
    document.dispatchEvent(new CustomEvent("renewed", { detail: { items, isLater: true } }));
    return;
  }
  for (const item of items) {
    const known = document.getElementById(item.id);
    if (known) morph(known, item);
  }
}

/** Take the elements of these ids out of the list, as the decision that an answer tells of did. */
function takeAway(gone, page) {
  document.dispatchEvent(new CustomEvent("gone", { detail: { ids: gone, decision: decisionOf(page) } }));
  for (const id of gone) document.getElementById(id)?.remove();
}

function* following(item, way = "nextElementSibling") {
  for (let next = item[way]; next; next = next[way]) yield next;
}

/** Tell the rest of the page which decision was undone, or done again. */
function announce(fields) {
  const action = fields.get("action");
  if (action === "undo" || action === "redo") {
    document.dispatchEvent(new CustomEvent(action, { detail: fields.get("decision") }));
  }
}

/** Add to an answer, which is a fresh first page, what was loaded behind it. */
function keepLoaded(list, page, gone) {
  const [fresh, main] = ["list", "main"].map((id) => page.getElementById(id));
  if (!list?.dataset.loaded || !fresh || !main.querySelector("[data-more]")) {
    delete list?.dataset.cut;
    return;
  }
  if ("cut" in list.dataset) {
    takeAway(gone, page);
    document.dispatchEvent(new CustomEvent("renewed", { detail: { items: [...fresh.children], isLater: false } }));
  } else {
    const known = new Set([...fresh.children].map((child) => child.id));
    for (const child of [...list.children].slice(fresh.childElementCount)) {
      if (!known.has(child.id) && !gone.has(child.id)) fresh.append(child.cloneNode(true));
    }
    fresh.dataset.loaded = list.dataset.loaded;
  }
  const more = document.querySelector("[data-more]")?.parentElement;
  const freshMore = main.querySelector("[data-more]")?.parentElement;
  if (freshMore && more) freshMore.replaceWith(more.cloneNode(true));
  else freshMore?.remove();
}

let line = Promise.resolve();

/** Send a form after those before it. Each answer is a whole page, and an older one must not take the place of a newer one. */
export function submitLive(form, submitter) {
  const fields = new URLSearchParams(new FormData(form, submitter));
  form.dataset.busy = "";
  hold(1);
  const turn = line.then(() => submitNow(form, fields)).finally(() => hold(-1));
  line = turn.catch(() => {});
  return turn;
}

/** Send a form and make the page like the answer; ask in a dialog what the service asks. */
async function submitNow(form, fields) {
  const { answer, page, isDone } = await send(form.getAttribute("action"), fields);
  delete form.dataset.busy;
  const isInDialog = form.closest("dialog") !== null;
  const question = page.querySelector("[data-question]");
  if (question) {
    openDialog(question);
    if (form.matches(".naming")) dialog.addEventListener("close", () => form.reset());
    return false;
  }
  if (isInDialog) closeDialog(); // else it is a question about a form before this one
  if (!isDone) {
    tell(trouble(answer, page));
    return false;
  }
  if (new URL(answer.url).pathname !== location.pathname) {
    setTimeout(() => location.assign(answer.url)); // the page is another one now, once this form is counted as done
    return true;
  }
  form.closest("details:not([data-stays])")?.removeAttribute("open");
  const chosen = isInDialog ? "selection" : form.id;
  for (const box of document.querySelectorAll(`input[form="${chosen}"]:checked`)) box.checked = false;
  refresh(page, removedBy(fields, page), new URL(answer.url).searchParams.has("cursor"));
  announce(fields);
  return true;
}

/** The ids of the elements of the list that a decision removes; null where it may be any. */
function removedBy(fields, page) {
  const action = fields.get("action");
  if (fields.has("select.identity")) return null;
  const faces = LEAVING.has(action) ? fields.getAll("faces").map((face) => `face-${face}`) : [];
  const people = ["merge", "ignore"].includes(action) ? [...fields.getAll("numbers"), fields.get("identity")] : [];
  const ids = people.filter(Boolean).map((number) => `person-${number}`);
  const named = action === "label" ? `person-${fields.get("identity")}` : null;
  if (named && page.getElementById("list") && !page.getElementById(named)) ids.push(named); // it belongs to another place now
  return new Set([...faces, ...ids]);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-live]")) {
    event.preventDefault();
    if (!("busy" in form.dataset)) submitLive(form, event.submitter);
  }
});

for (const form of document.querySelectorAll("[data-filters]")) {
  form.addEventListener("change", (event) => event.target.matches("select") && form.requestSubmit());
}

/* Dialogs */

let dialog = null;

/** Open an element of an answer in a dialog. */
export function openDialog(content) {
  closeDialog();
  const own = (dialog = document.createElement("dialog"));
  own.setAttribute("aria-label", content.querySelector("h1, h2")?.textContent.trim() || "The whole picture");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close quiet";
  close.textContent = "Close";
  close.addEventListener("click", closeDialog);
  dialog.append(content, close);
  dialog.addEventListener("click", (event) => event.target === own && closeDialog());
  dialog.addEventListener("close", () => {
    own.remove();
    if (dialog === own) dialog = null;
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** Close the dialog, if one is open. */
export function closeDialog() {
  const open = dialog;
  dialog = null;
  open?.close();
  open?.remove();
}

async function openPicture(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer) {
    tell("The service cannot be reached.");
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = page.querySelector("[data-picture-page]");
  if (!content) {
    tell(trouble(answer, page));
    return;
  }
  for (const field of content.querySelectorAll('input[name="back"]')) field.value = location.pathname + location.search;
  openDialog(content);
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const link = event.target.closest("a[data-picture]");
  if (link) {
    event.preventDefault();
    openPicture(link);
  }
  if (event.target.closest("[data-cancel]") && dialog) {
    event.preventDefault();
    closeDialog();
  }
});

/* Keys */

const isVisible = (element) => element.checkVisibility({ visibilityProperty: true });
const isTyping = (target) => target.matches?.('input:not([type="checkbox"]), textarea, select');
let prefix = "";

/** Where keys work now: in the dialog, else in the first card, else on the page. */
function scopes() {
  if (dialog?.open) return [dialog, toast].filter(Boolean);
  const first = document.querySelector("[data-selection].active") ?? document.querySelector("[data-card]");
  return [first, document].filter(Boolean);
}

function reached(key) {
  for (const scope of scopes()) {
    const found = [...scope.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key && isVisible(one));
    if (found) return found;
  }
  return null;
}

/** Do what a key stands for; false where it stands for nothing here. */
function press(key) {
  const element = reached(key);
  if (!element) return false;
  if (isTyping(element)) {
    element.dispatchEvent(new CustomEvent("reached", { bubbles: true }));
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
  return true;
}

const KEY_NAMES = { " ": "space" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = KEY_NAMES[event.key] ?? event.key;
  if (key === "space" && event.target.matches('button, summary, input[type="checkbox"]')) return;
  if (key === "space" && dialog?.querySelector("[data-picture-page]")) {
    event.preventDefault();
    closeDialog();
    return;
  }
  if (key === "?") {
    event.preventDefault();
    showKeys();
    return;
  }
  const whole = prefix ? `${prefix} ${key}` : key;
  prefix = "";
  if (press(whole)) event.preventDefault();
  else if (key === "g" && !reached("g")) prefix = "g";
});

const GRID_KEYS = [
  ["arrows", "Go to another one"],
  ["space", "The whole picture"],
];
/** Where something can be decided about the chosen ones. */
const CHOICE_KEYS = [
  ["s", "Choose it"],
  ["shift arrows", "Choose several"],
  ["a", "Choose all shown"],
];

function wordsOf(element) {
  return (element.getAttribute("aria-label") ?? element.placeholder ?? element.textContent).trim() || "The whole picture";
}

/** Show which keys there are on this page. */
function showKeys() {
  const list = document.createElement("dl");
  list.className = "keys";
  const add = (key, words) => {
    const [term, meaning, row] = ["dt", "dd", "div"].map((name) => document.createElement(name));
    const name = document.createElement("kbd");
    name.textContent = key;
    term.append(name);
    meaning.textContent = words;
    row.append(term, meaning);
    list.append(row);
  };
  const seen = new Set();
  for (const scope of scopes()) {
    for (const element of scope.querySelectorAll("[data-key]")) {
      if (seen.has(element.dataset.key) || !isVisible(element)) continue;
      seen.add(element.dataset.key);
      add(element.dataset.key, wordsOf(element));
    }
  }
  const isChoosing = document.querySelector("[data-selection]") !== null;
  if (document.querySelector("[data-grid]")) {
    for (const [key, words] of [...GRID_KEYS, ...(isChoosing ? CHOICE_KEYS : [])]) add(key, words);
  }
  add("?", "These keys");
  const section = document.createElement("section");
  const title = document.createElement("h2");
  title.textContent = "Keys";
  section.append(title, list);
  openDialog(section);
}

/* Names: the first that fits is completed in place, and Tab takes it */

let asked = 0;

async function complete(input) {
  const typed = input.value;
  const turn = (asked += 1);
  if (typed.trim().length < 1) return;
  const query = new URLSearchParams({ q: typed.trim(), named: "true", limit: "8" });
  const answer = await fetch(`${BASE}api/identities?${query}`).catch(() => null);
  if (!answer?.ok) return;
  const { identities } = await answer.json();
  if (turn !== asked || input.value !== typed || document.activeElement !== input) return;
  const labels = identities.map(({ label }) => label.toLowerCase());
  if (labels.includes(typed.toLowerCase())) return;
  const found = identities.find(({ label }) => label.toLowerCase().startsWith(typed.toLowerCase()));
  if (!found) return;
  input.value = typed + found.label.slice(typed.length);
  input.setSelectionRange(typed.length, input.value.length);
}

const isCompleted = (input) => input.selectionStart < input.selectionEnd && input.selectionEnd === input.value.length;

document.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.matches("[data-names], .naming input[name=label]")) return;
  if (event.inputType === "insertText" && input.selectionStart === input.value.length) complete(input);
});

document.addEventListener("keydown", (event) => {
  const input = event.target;
  if (!input.matches?.("[data-names], .naming input[name=label]") || !isCompleted(input)) return;
  if (event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    input.setSelectionRange(input.value.length, input.value.length);
  } else if (event.key === "Enter") {
    input.value = input.value.slice(0, input.selectionStart);
  }
});

for (const place of document.querySelectorAll(":is(.pages, .tabs) [aria-current]")) {
  place.scrollIntoView({ block: "nearest", inline: "center" });
}

if (toast?.childElementCount) {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}
