"use strict";
// The commands to copy use the address at which the page was opened, which may be a proxy's and include a path.
const base = new URL(".", location.href).href;
for (const place of document.querySelectorAll(".base")) place.textContent = base;

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // browsers have no clipboard API over plain http
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "quiet";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const lines = document.getElementById(button.dataset.copy);
    try {
      await copy(lines.textContent + "\n");
      label.data = "Copied";
    } catch {
      getSelection().selectAllChildren(lines); // for copying by hand
      label.data = "Selected";
    }
    button.focus();
    setTimeout(() => { label.data = "Copy"; }, 2000);
  });
}

const search = document.getElementById("search");
if (search) {
  const rows = [...document.querySelectorAll("tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    document.getElementById("found").value = words.length ? `${count} of ${rows.length}` : "";
    history.replaceState(null, "", words.length ? `#q=${encodeURIComponent(search.value)}` : location.pathname);
  };
  search.parentElement.hidden = false;
  search.addEventListener("input", show);
  // searches can be linked to, also from this page
  const linked = () => {
    const words = new URLSearchParams(location.hash.slice(1)).get("q");
    if (words === null) return;
    search.value = words;
    show();
  };
  addEventListener("hashchange", linked);
  linked();
}
