/*
 * What is known before the first thing is shown: that scripts run, and the chosen size of pictures. This file is run as
 * soon as it is there, beside the page that still comes, so neither moves what is shown already.
 */

const root = document.documentElement;
root.classList.add("live");
addEventListener("error", ({ target }) => target.localName === "script" && root.classList.remove("live"), true);
root.dataset.size = keptSize() ?? "medium";

/** The size that this browser keeps; null without any, and where it keeps nothing for pages. */
function keptSize() {
  try {
    return localStorage.getItem("facesets-size");
  } catch {
    return null;
  }
}
