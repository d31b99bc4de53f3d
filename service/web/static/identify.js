/*
 * Sends a picture that was dropped, pasted or chosen, and shows whose faces are in it. The service renders the answer;
 * the picture beside it is the browser's own copy.
 */

import { BASE, tell, trouble } from "./page.js";

const form = document.querySelector("[data-identify]");
const input = form.querySelector("input");
const answer = document.getElementById("answer");
const found = document.getElementById("found");
let asking = new AbortController();
let copy = "";
let shown = null;

form.hidden = false;

/** Ask about a picture, in place of the one before. */
async function identify(picture) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  found.replaceChildren();
  if (picture.size > Number(form.dataset.most)) {
    say(form.dataset.tooLarge, "bad");
    return;
  }
  say("Looking at the picture …");
  try {
    const told = await fetch(form.getAttribute("action"), {
      method: "POST",
      body: picture,
      headers: { "Content-Type": form.dataset.type, Accept: "text/html" },
      signal,
    });
    const page = new DOMParser().parseFromString(await told.text(), "text/html");
    const part = page.querySelector("[data-found]");
    if (part) show(part, picture);
    else say(trouble(told, page), "bad");
  } catch {
    if (!signal.aborted) say("The service cannot be reached. Try again when it is back.", "bad");
  }
}

function show(part, picture) {
  const image = part.querySelector("[data-own]");
  URL.revokeObjectURL(copy);
  copy = URL.createObjectURL(picture);
  image.addEventListener("error", () => {
    image.closest("figure").classList.add("unshown");
    part.querySelector("[data-unshown]").hidden = false;
  });
  image.src = copy;
  for (const one of part.querySelectorAll("[data-reference]")) one.dataset.key = newKey();
  found.replaceChildren(part);
  shown = picture;
  say("");
  form.classList.add("small");
  part.querySelector("h2").focus({ preventScroll: true });
}

function say(words, tone = "") {
  answer.textContent = words;
  answer.className = `answer ${tone && words ? `notice ${tone}` : ""}`;
}

/** Ask about the first picture among files; say so where there is none. */
function take(files) {
  const picture = [...files][0];
  if (picture) identify(picture);
  else tell("There is no picture in that.");
}

form.addEventListener("submit", (event) => event.preventDefault());
form.querySelector("[data-choose]").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  if (input.files.length) take(input.files);
  input.value = "";
});
document.addEventListener("paste", ({ clipboardData }) => clipboardData.files.length && take(clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.dataset.over = "";
});
document.addEventListener("dragleave", (event) => event.relatedTarget || delete form.dataset.over);
document.addEventListener("drop", (event) => {
  event.preventDefault();
  delete form.dataset.over;
  take(event.dataTransfer.files);
});

/** A key under which a picture is kept once, however often it is sent. */
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("");

/* A face of the picture as a reference: of a person who is known by number or name, or of a new one */

async function personCalled(who) {
  const number = /^#?(\d+)$/.exec(who)?.[1];
  if (number) return { number: Number(number) };
  const told = await fetch(`${BASE}api/identities?${new URLSearchParams({ q: who, named: "true", limit: "200" })}`);
  const { identities } = await told.json();
  const [one, ...others] = identities.filter(({ label }) => label.toLowerCase() === who.toLowerCase());
  return { number: one?.number, isClear: !others.length };
}

async function keep(form) {
  const who = form.elements.who.value.trim();
  const picture = shown;
  const { number, isClear = true } = await personCalled(who);
  if (!isClear) {
    tell(`Several people are called ${who}: give the number of one.`);
    return;
  }
  const query = new URLSearchParams({ box: form.dataset.box });
  const label = number ? {} : { "Facesets-Label": encodeURIComponent(who) };
  const address = number ? `${BASE}api/identities/${number}/references` : `${BASE}api/references`;
  const told = await fetch(`${address}?${query}`, {
    method: "POST",
    body: picture,
    headers: { "Content-Type": "application/octet-stream", "Idempotency-Key": form.dataset.key, ...label },
  });
  const kept = await told.json();
  if (!told.ok) tell(kept.detail[0].toUpperCase() + kept.detail.slice(1));
  else if (kept.rival) tell(`Kept. It looks like another person as well, so the review asks whose it is.`);
  else tell(`Kept as a reference picture of ${who.replace(/^#(?=[0-9]+$)/, "person ")}${number ? "" : ", who is new"}.`);
}

found.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-reference]")) return;
  event.preventDefault();
  keep(event.target).catch(() => tell("The service cannot be reached. Try again when it is back."));
});

/** The face that the pointer or the focus is on, marked in the picture and in the list. */
function mark({ target }) {
  const number = target.closest?.("[data-face]")?.dataset.face;
  for (const one of found.querySelectorAll("[data-face]")) one.classList.toggle("active", one.dataset.face === number);
}
found.addEventListener("pointerover", mark);
found.addEventListener("focusin", mark);
