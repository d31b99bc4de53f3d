/*
 * The review queue, one card at a time. An answer shows the next card at once and is sent behind it; what the service
 * then has in its queue replaces the cards that wait.
 */

import { decisionOf, hold, openDialog, send, showToast, tell, trouble } from "./page.js";

const cards = document.getElementById("cards");
const left = document.getElementById("left");
const settled = document.getElementById("settled");
const none = document.getElementById("none");
const SWIPE_PIXELS = 90;

let answered = 0;
let faces = 0;
let sending = Promise.resolve();
let underway = 0;
const done = new Set();
/** The cards that were answered, by the decision that each answer became. */
const byDecision = new Map();

const all = () => [...cards.querySelectorAll("[data-card]")];

function show() {
  const [first, second] = all();
  none.hidden = Boolean(first) || underway > 0;
  for (const image of second?.querySelectorAll("img") ?? []) image.loading = "eager";
  for (const button of document.querySelectorAll("[data-later]")) button.hidden = false;
  const count = Number(left.dataset.left);
  left.textContent = `${count.toLocaleString("en")} ${count === 1 ? "question" : "questions"}`;
  if (!answered) return;
  settled.hidden = false;
  settled.textContent = `${answered} answered, ${faces.toLocaleString("en")} ${faces === 1 ? "face" : "faces"} settled.`;
}

/** Bring the cards that wait in line with a page of the service. */
function follow(page) {
  const fresh = page.getElementById("cards");
  if (!fresh) return;
  const waiting = [...fresh.querySelectorAll("[data-card]")].filter((card) => !done.has(card.id));
  const [first] = all();
  const known = new Map(all().map((card) => [card.id, card]));
  const later = all().filter((card) => card.dataset.later);
  const ordered = waiting.filter((card) => !known.get(card.id)?.dataset.later).map((card) => known.get(card.id) ?? card);
  if (first && ordered.includes(first)) ordered.unshift(...ordered.splice(ordered.indexOf(first), 1));
  cards.replaceChildren(...ordered, ...later);
  left.dataset.left = page.getElementById("left").dataset.left;
  show();
}

async function answer(form, submitter) {
  const card = form.closest("[data-card]");
  const fields = new URLSearchParams(new FormData(form, submitter));
  const next = card.nextElementSibling;
  done.add(card.id);
  card.remove();
  underway += 1;
  hold(1);
  answered += 1;
  faces += Number(form.dataset.settles);
  left.dataset.left = Math.max(0, Number(left.dataset.left) - 1);
  show();
  cards.querySelector("[data-card] h2")?.focus();
  sending = sending.then(async () => {
    const { answer: got, page, isDone } = await send(form.getAttribute("action"), fields);
    underway -= 1;
    hold(-1);
    const question = page.querySelector("[data-question]");
    if (isDone && !question) {
      follow(page);
      const decision = decisionOf(page);
      if (decision) byDecision.set(decision, card);
      showToast(page);
      return;
    }
    done.delete(card.id);
    answered -= 1;
    faces -= Number(form.dataset.settles);
    left.dataset.left = Number(left.dataset.left) + 1;
    cards.insertBefore(card, next?.isConnected ? next : cards.firstChild);
    show();
    if (question) openDialog(question);
    else tell(trouble(got, page));
  });
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-answer]")) return;
  event.preventDefault();
  answer(event.target, event.submitter);
});

document.addEventListener("refreshed", show);

/** Undo means the latest answer, also while that is on its way. */
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "u" || !underway || event.target.matches("input, select, textarea")) return;
    event.stopPropagation();
    sending = sending.then(() => document.querySelector('#toast [data-key="u"]')?.click());
  },
  true,
);

/** Ask first what was taken back: the service has it in its queue again, in the order of benefit. */
document.addEventListener("undo", ({ detail }) => {
  const card = byDecision.get(detail);
  if (!card) return;
  done.delete(card.id);
  for (const field of card.querySelectorAll("input[name=key]")) field.value += "-";
  if (!document.getElementById(card.id)) left.dataset.left = Number(left.dataset.left) + 1;
  document.getElementById(card.id)?.remove();
  cards.prepend(card);
  show();
});

/** Behind all others, without a decision. */
document.addEventListener("click", (event) => {
  const card = event.target.closest("[data-later]")?.closest("[data-card]");
  if (!card) return;
  card.dataset.later = "1";
  cards.append(card);
  show();
});

document.addEventListener("redo", ({ detail }) => {
  const card = document.getElementById(byDecision.get(detail)?.id ?? "");
  if (!card) return;
  left.dataset.left = Math.max(0, Number(left.dataset.left) - 1);
  card.remove();
  show();
});

/* With one thumb: to the right is yes, to the left is no */

let start = null;
cards.addEventListener("touchstart", (event) => (start = event.touches.length === 1 ? event.touches[0] : null), {
  passive: true,
});
cards.addEventListener("touchend", (event) => {
  const end = event.changedTouches[0];
  if (!start || !end) return;
  const [x, y] = [end.clientX - start.clientX, end.clientY - start.clientY];
  start = null;
  if (Math.abs(x) < SWIPE_PIXELS || Math.abs(y) > Math.abs(x) / 2) return;
  all()[0]?.querySelector(`[data-answer] [data-key="${x > 0 ? "y" : "n"}"]`)?.click();
});

show();
