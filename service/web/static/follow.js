/* Keeps a page with a running job current: it is asked for again every few seconds while one runs and somebody looks. */

import { refresh } from "./page.js";

const PAUSE_MILLISECONDS = 3000;
const AFTER_A_REQUEST = 15000;
/** A job that was just asked for has not begun yet. */
let until = 0;
const here = new URL(location.href);
if (here.searchParams.has("notice")) {
  until = Date.now() + AFTER_A_REQUEST;
  here.searchParams.delete("notice");
  history.replaceState(null, "", here);
}

/** Whether somebody is about to decide something, which a fresh page would disturb. */
const isBusy = () => document.querySelector("dialog[open]") !== null || document.activeElement?.matches("input, select");

document.addEventListener("submit", () => (until = Date.now() + AFTER_A_REQUEST));

async function follow() {
  const isWanted = document.querySelector("[data-follow]") || Date.now() < until;
  if (isWanted && !document.hidden && !isBusy()) {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.ok) refresh(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }
  setTimeout(follow, PAUSE_MILLISECONDS);
}

setTimeout(follow, PAUSE_MILLISECONDS);
