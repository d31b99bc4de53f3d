/*
 * What is known before the first thing is shown: that scripts run, and the chosen size of pictures. This file is run as
 * soon as it is there, beside the page that still comes, so neither moves what is shown already.
 */

const root = document.documentElement;
root.classList.add("live");
addEventListener("error", ({ target }) => target.localName === "script" && root.classList.remove("live"), true);
root.dataset.size = localStorage.getItem("facesets-size") ?? "medium";
