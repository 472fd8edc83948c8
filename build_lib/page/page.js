"use strict";
// The page is complete without this script. It adds choosing a service in the graph, and sorting tables by a column.

const graph = document.querySelector(".graph");
const chosen = document.querySelector("#chosen");

function reached(start, from, to) {
  const edges = [...graph.querySelectorAll("path")].map((path) => path.dataset);
  const found = new Set([start]);
  for (const node of found) {
    edges.filter((edge) => edge[from] === node).forEach((edge) => found.add(edge[to]));
  }
  found.delete(start);
  return found;
}

function names(numbers) {
  const name = (number) => document.querySelector(`#service-${number} th`).textContent;
  return [...numbers].map(name).join(", ");
}

function choose(number) {
  const again = number === null || graph.dataset.chosen === number;
  graph.dataset.chosen = again ? "" : number;
  const needs = again ? new Set() : reached(number, "to", "from");
  const users = again ? new Set() : reached(number, "from", "to");
  const lit = (other) => again || other === number || needs.has(other) || users.has(other);
  for (const node of document.querySelectorAll(".node, .timeline > li[data-service]")) {
    const own = !again && node.dataset.service === number;
    node.classList.toggle("chosen", own);
    node.classList.toggle("dim", !lit(node.dataset.service));
  }
  for (const path of graph.querySelectorAll("path")) {
    const { from, to } = path.dataset;
    const down = (to === number || needs.has(to)) && needs.has(from);
    const up = (from === number || users.has(from)) && users.has(to);
    path.classList.toggle("lit", !again && (down || up));
    path.classList.toggle("dim", !again && !down && !up);
  }
  tell(again ? null : number, needs, users);
}

function tell(number, needs, users) {
  chosen.replaceChildren();
  if (number === null) return;
  const link = document.createElement("a");
  link.href = `#service-${number}`;
  link.textContent = names([number]);
  const needed = needs.size ? ` depends on ${names(needs)};` : " depends on no other service;";
  const used = users.size ? ` its dependents are ${names(users)}. ` : " it has no dependents. ";
  const all = document.createElement("button");
  all.textContent = "Show all";
  all.addEventListener("click", () => choose(null));
  chosen.append(link, needed, used, all);
}

if (graph) {
  for (const node of graph.querySelectorAll(".node")) {
    node.addEventListener("click", (event) => {
      event.preventDefault();
      choose(node.dataset.service);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(null);
  });
}

function sort(table, column, header) {
  const down = header.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.children[column].dataset.sort;
  const compare = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
  const signed = (a, b) => (isNaN(key(a)) || isNaN(key(b)) ? compare(a, b) : key(a) - key(b));
  const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? -signed(a, b) : signed(a, b)));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(table, column, header));
  });
}
