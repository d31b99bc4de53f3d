/*
 * A link of this machine's terminal has a ticket behind the #. Browsers never send that part, so it is posted here, once,
 * and taken out of the address and of the history first.
 */

const ticket = location.hash.slice(1);
if (ticket) {
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.getElementById("with-link");
  form.elements.ticket.value = ticket;
  form.submit();
}
