// What is nicer with JavaScript on every page; everything works without it.

// A menu closes when one goes elsewhere, as menus do.
const menus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("focusin", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// On a phone the strip of pages is longer than the screen.
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Polish print keeps a word of one letter with the next: no line ends in "i" or "z". Twice, for "i w tym".
const kept = /(^|[\s(„])([aiouwz]) (?=\S)/gi;
const typeset = (root) => {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("code, script, textarea")) continue;
    const set = text.data.replace(kept, "$1$2\u00a0").replace(kept, "$1$2\u00a0");
    if (set !== text.data) text.data = set;
  }
};
if (document.documentElement.lang === "pl") {
  typeset(document.body);
  document.addEventListener("htmx:afterSettle", (event) => typeset(event.target));
}

// A double click sends a form once. Not for longer: the answer may be a file, and the page stays.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 1500);
});
