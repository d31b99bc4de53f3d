/* Keeps the page of a running job current: it is asked for again every few seconds while one runs and somebody looks. */

import { refresh } from "./page.js";

const PAUSE_MILLISECONDS = 3000;
const AFTER_A_REQUEST = 15000;
let until = 0;

document.addEventListener("submit", () => (until = Date.now() + AFTER_A_REQUEST));

async function follow() {
  const isWanted = document.querySelector("[data-follow]") || Date.now() < until;
  if (isWanted && !document.hidden && !document.querySelector("dialog[open]")) {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.ok) refresh(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }
  setTimeout(follow, PAUSE_MILLISECONDS);
}

setTimeout(follow, PAUSE_MILLISECONDS);
