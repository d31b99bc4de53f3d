/* What an item of a long list has beyond its HTML, while it is not in the page: the focus, the choice, and typed text. */

/**
 * The element that had the focus when its item was taken out: the item's id, the place of the element among those that can
 * have the focus, whether text is typed into it, and the ends of the selected text. Null without any.
 */
export let left = null;
/** The text that was typed and not sent, by the id of its item. */
const drafts = new Map();

export const boxOf = (item) => item?.querySelector('input[type="checkbox"]');
export const awayOf = (id) => document.getElementById(`away-${id}`)?.firstChild;
const fieldOf = (item) => item.querySelector('input:not([type="checkbox"], [type="hidden"])');
const focusable = (item) => [...item.querySelectorAll('a, button, summary, input:not([type="hidden"])')];

/** Forget which element had the focus. */
export function forgetFocus() {
  left = null;
}

/** The checkboxes of chosen items that are not in the page; a form has them by its id. */
function awayBoxes() {
  let boxes = document.getElementById("away");
  if (!boxes) {
    boxes = document.createElement("div");
    boxes.id = "away";
    boxes.hidden = true;
    document.body.append(boxes);
  }
  return boxes;
}

/** Choose an item that is not in the page; `sample` is the checkbox of any item. */
export function chooseAway(id, isChosen, sample) {
  document.getElementById(`away-${id}`)?.remove();
  if (!isChosen) return;
  const [place, box] = [document.createElement("span"), sample.cloneNode()];
  place.id = `away-${id}`;
  box.value = id.slice(id.lastIndexOf("-") + 1);
  box.checked = true;
  place.append(box);
  awayBoxes().append(place);
}

/** Keep what an item has, before it is taken out of the page. */
export function keepState(item) {
  const [element, field, box] = [document.activeElement, fieldOf(item), boxOf(item)];
  if (item.contains(element)) {
    const isField = element === field;
    const ends = isField ? [element.selectionStart, element.selectionEnd] : null;
    left = { id: item.id, place: focusable(item).indexOf(element), isField, ends };
  }
  if (field && field.value !== field.defaultValue) drafts.set(item.id, field.value);
  if (box?.checked) chooseAway(item.id, true, box);
}

/** Give an item what was kept of it, once it is in the page again. */
export function giveBack(item) {
  const [field, box, id] = [fieldOf(item), boxOf(item), item.id];
  if (box && awayOf(id)) box.checked = awayOf(id).checked;
  document.getElementById(`away-${id}`)?.remove();
  if (field && drafts.has(id)) field.value = drafts.get(id);
  drafts.delete(id);
  for (const form of item.querySelectorAll("[data-busy]")) delete form.dataset.busy;
  if (left?.id !== id) return;
  if (document.activeElement === document.body) focusWithin(item);
  else forgetFocus();
}

/** Forget the choice and the focus of an item that is gone. Text that was typed in it stays for an undo. */
export function forgetState(id) {
  document.getElementById(`away-${id}`)?.remove();
  if (left?.id === id) forgetFocus();
}

/** Give the focus to the element of an item that had it. */
export function focusWithin(item) {
  if (left?.id !== item.id) return;
  const element = focusable(item)[left.place];
  element?.focus({ preventScroll: true });
  if (left.ends && element?.setSelectionRange) element.setSelectionRange(...left.ends);
  left = null;
}
