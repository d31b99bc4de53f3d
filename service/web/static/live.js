/*
 * Keeps the status page current. The server renders every part of the page; what arrives here is the same HTML again,
 * and only what differs is changed in place, so that focus, selection and scrolling stay where they are.
 */

import { morph } from "./morph.js";
import { BASE, tell as showMessage } from "./page.js";

const link = document.getElementById("link");
const linkWords = document.getElementById("link-words");
const announcer = document.getElementById("announcer");
const RETRY_MILLISECONDS = 5000;

/** Moments in the titles are shown in the reader's own zone. */
function localise(root) {
  for (const time of root.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

function show(id, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById(id);
  if (!fresh) return;
  localise(fresh);
  morph(document.getElementById(id), fresh);
}

/** Read out, for those who cannot see it, only what sums everything up: never every tick of a counter. */
let said = document.getElementById("headline").textContent;
function say(words) {
  if (words === said) return;
  said = words;
  announcer.textContent = words;
}

/** Answers to what the person did are read out and shown for a while. */
function tellAloud(words) {
  say(words);
  showMessage(words);
}

function showLink(state, words) {
  link.hidden = false;
  link.dataset.state = state;
  if (linkWords.textContent !== words) linkWords.textContent = words;
}

function listen() {
  const events = new EventSource(`${BASE}events`);
  events.addEventListener("version", ({ data }) => {
    if (data !== link.dataset.version) location.reload();
    showLink("live", "Live");
  });
  events.addEventListener("standing", ({ data }) => show("standing", data));
  events.addEventListener("progress", ({ data }) => {
    show("progress", data);
    say(document.getElementById("headline").textContent);
  });
  events.addEventListener("error", () => {
    showLink("lost", "Reconnecting");
    if (events.readyState === EventSource.CLOSED) setTimeout(comeBack, RETRY_MILLISECONDS);
  });
}

/** The stream was refused: the session may have ended. Once the service answers, the page itself leads to the login. */
async function comeBack() {
  const isThere = await fetch(`${BASE}healthz`).then((answer) => answer.ok, () => false);
  if (isThere) location.reload();
  else setTimeout(comeBack, RETRY_MILLISECONDS);
}

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-sync]")) return;
  event.preventDefault();
  const button = event.submitter;
  if (button.getAttribute("aria-disabled") === "true") {
    tellAloud("A job is running already.");
    return;
  }
  const question = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ kind: button.value }),
  };
  const answer = await fetch(`${BASE}api/jobs`, question).catch(() => null);
  if (answer?.ok) tellAloud("The job is starting.");
  else if (answer?.status === 401) location.reload();
  else tellAloud(answer ? (await answer.json()).detail : "The service cannot be reached.");
});

if (location.hash && location.hash !== "#main") {
  // The ticket of a login link, when this browser was signed in already: see login.js.
  history.replaceState(null, "", location.pathname + location.search);
}
localise(document);
if (toast.textContent) {
  tellAloud(toast.textContent);
  history.replaceState(null, "", BASE);
}
listen();
