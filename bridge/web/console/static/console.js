// Comfort only: every page works without it.
"use strict";

// A slash goes to the search, as on other pages of this kind.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  const search = document.getElementById("search");
  if (event.key === "/" && !typing && search) {
    event.preventDefault();
    search.select();
  }
});

// A bulk run goes on by itself while its page is open.
const next = document.querySelector("form[data-goes-on]");
if (next) setTimeout(() => next.requestSubmit(), 400);

// Nothing is sent twice by a double click.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  }));
}
