"use strict";
// Lists the packages of both repositories, as their indexes have them, and the lines that make a client use them. The
// lines have the address at which the page was opened, which may be a proxy's and include a path.
const base = new URL(".", location.href).href;
const deb = "pkgs/slurm-deb/";
const rpm = "pkgs/slurm-rpm/";

async function get(path) {
  const answer = await fetch(path, { cache: "no-cache" });
  if (!answer.ok && answer.status !== 404) throw new Error(`${path}: ${answer.status}`);
  return answer.ok ? answer : null;
}

// deb822: fields of paragraphs, continued by lines that begin with white space
function paragraph(text) {
  return Object.fromEntries([...text.matchAll(/^([\w-]+): *(.*)$/gm)].map((found) => [found[1], found[2]]));
}

async function debs() {
  const index = await get(`${deb}Packages`);
  if (!index) return [];
  return (await index.text()).trim().split("\n\n").filter(Boolean).map(paragraph).map((fields) => ({
    name: fields.Package,
    summary: fields.Description,
    version: fields.Version,
    architecture: fields.Architecture,
    kind: "deb",
    size: Number(fields.Size),
    path: deb + fields.Filename.replace(/^\.\//, ""),
  }));
}

async function rpms() {
  const index = await get(`${rpm}repodata/repomd.xml`);
  if (!index) return [];
  const xml = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/xml");
  const primary = (await xml(index)).querySelector("data[type=primary] > location").getAttribute("href");
  const packed = await get(rpm + primary);
  const list = await xml(new Response(packed.body.pipeThrough(new DecompressionStream("gzip"))));
  return [...list.querySelectorAll("package")].map((found) => {
    const text = (name) => found.querySelector(`:scope > ${name}`).textContent;
    const value = (name, attribute) => found.querySelector(`:scope > ${name}`).getAttribute(attribute);
    return {
      name: text("name"),
      summary: text("summary"),
      version: `${value("version", "ver")}-${value("version", "rel")}`,
      architecture: text("arch"),
      kind: "rpm",
      size: Number(value("size", "package")),
      path: rpm + value("location", "href"),
    };
  });
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function bytes(size) {
  if (size < 1e6) return `${Math.round(size / 1e3)} kB`;
  return size < 1e9 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`;
}

function row(item) {
  const name = element("th", "", { scope: "row" });
  name.append(element("a", item.name, { href: item.path.split("/").map(encodeURIComponent).join("/") }));
  name.append(element("span", item.summary, { class: "summary" }));
  const made = document.createElement("tr");
  made.append(
    name,
    element("td", item.version, { class: "version" }),
    element("td", item.architecture),
    element("td", item.kind),
    element("td", bytes(item.size), { class: "number" }),
  );
  return made;
}

function show(id, lines) {
  const place = document.getElementById(id);
  place.textContent = lines.join("\n");
  place.parentElement.hidden = false;
}

// what most who come here want on a new machine: slurm-client, or slurm-smd-client
function example(packages) {
  const names = packages.map((item) => item.name).sort();
  return names.find((name) => name.endsWith("-client")) ?? names[0];
}

function showApt(packages, signed) {
  const list = "/etc/apt/sources.list.d/apphub.list";
  const key = "/etc/apt/keyrings/apphub.asc";
  const trust = signed ? `signed-by=${key}` : "trusted=yes";
  const lines = [
    "install -d /etc/apt/keyrings",
    `/usr/lib/apt/apt-helper download-file ${base}${deb}apphub.asc ${key}`,
  ];
  show("apt", [
    ...(signed ? lines : []),
    `echo 'deb [${trust}] ${base}${deb.slice(0, -1)} ./' >${list}`,
    "apt-get update",
    `apt-get install ${example(packages)}`,
  ]);
}

function showDnf(signed) {
  show("dnf", [
    "cat >/etc/yum.repos.d/apphub.repo <<EOF",
    "[apphub]",
    "name=apphub",
    `baseurl=${base}${rpm}`,
    "enabled=1",
    "gpgcheck=0",
    ...(signed ? ["repo_gpgcheck=1", `gpgkey=${base}${rpm}apphub.asc`] : ["repo_gpgcheck=0"]),
    "EOF",
    "dnf makecache --repo apphub",
  ]);
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // browsers have no clipboard API over plain http
  const area = element("textarea", text, { class: "quiet" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

function prepareCopying(button) {
  const label = button.firstChild;
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

function prepareSearch() {
  const search = document.getElementById("search");
  const rows = [...document.querySelectorAll("tbody tr")].map((each) => [each, each.textContent.toLowerCase()]);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [each, text] of rows) {
      each.hidden = !words.every((word) => text.includes(word));
      count += !each.hidden;
    }
    document.getElementById("found").value = words.length ? `${count} of ${rows.length}` : "";
    history.replaceState(null, "", words.length ? `#q=${encodeURIComponent(search.value)}` : location.pathname);
  };
  search.addEventListener("input", filter);
  // searches can be linked to, also from this page
  const linked = () => {
    const words = new URLSearchParams(location.hash.slice(1)).get("q");
    if (words === null) return;
    search.value = words;
    filter();
  };
  addEventListener("hashchange", linked);
  linked();
}

function number(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

// a volume that a hub may have
async function showMirror() {
  document.getElementById("mirror").hidden = !(await get("mirror/"));
}

async function main() {
  const where = ` on ${location.host}`;
  document.getElementById("host").textContent = where;
  document.title += where;
  const found = await Promise.all([debs(), rpms(), get(`${deb}InRelease`), get(`${rpm}repodata/repomd.xml.asc`)]);
  const [apt, dnf, aptSigned, dnfSigned] = found;
  const all = [...apt, ...dnf].sort((one, other) => one.name.localeCompare(other.name));
  if (!all.length) return "Nothing is published here yet.";
  if (apt.length) showApt(apt, aptSigned);
  if (dnf.length) showDnf(dnfSigned);
  document.querySelector("tbody").append(...all.map(row));
  document.querySelectorAll("[data-copy]").forEach(prepareCopying);
  prepareSearch();
  document.querySelector("main").hidden = false;
  return `${number(new Set(all.map((item) => item.name)).size, "package")}, ${number(all.length, "file")}.`;
}

showMirror().catch(() => {});
main().catch((error) => `The list could not be read (${error.message}). Reload the page to try again.`).then((text) => {
  document.getElementById("count").textContent = text;
});
