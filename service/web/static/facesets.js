/*
 * The pages of face sets while a job writes them: the page is read again until the job has ended.
 */

import { refresh } from "./page.js";

const PAUSE_MILLISECONDS = 1500;
const MOST_LOOKS_BEFORE = 4;
let looks = 0;

/** Whether somebody is about to decide something, which a fresh page would disturb. */
const isBusy = () => document.querySelector("dialog[open]") !== null || document.activeElement?.matches("input, select");

async function look() {
  const sign = document.querySelector("[data-writing]");
  if (!sign) return;
  looks = sign.dataset.writing === "soon" ? looks + 1 : 0;
  if (looks > MOST_LOOKS_BEFORE) return;
  if (!isBusy() && !document.hidden) {
    const address = new URL(location.href);
    if (looks >= MOST_LOOKS_BEFORE || !looks) address.searchParams.delete("notice");
    const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.ok) refresh(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }
  setTimeout(look, PAUSE_MILLISECONDS);
}

const clean = new URL(location.href);
if (clean.searchParams.has("notice")) {
  clean.searchParams.delete("notice");
  history.replaceState(null, "", clean);
}
setTimeout(look, PAUSE_MILLISECONDS);
