"use strict";
// The table of all recordings, from the data in recordings.js (or in the page itself, where it is one file). Whatever
// came out of a file goes in as text.
document.addEventListener("DOMContentLoaded", () => {
  const data = window.REPORT ?? JSON.parse(document.getElementById("data").textContent);
  const ROWS = 100;
  const byId = (id) => document.getElementById(id);
  const head = document.querySelector("#recordings thead tr");
  const body = document.querySelector("#recordings tbody");

  const number = (key) => (row) => row[key] ?? -Infinity;
  const COLUMNS = [
    { name: "Recording", kind: "who", key: (row) => row.name, fill: fillName },
    { name: "Findings", key: (row) => -(row.found?.length ? row.found[0][1] : 0), fill: fillFindings },
    { name: "Rate /min", kind: "number", key: number("rate"), fill: (cell, row) => put(cell, row.rate) },
    { name: "PR ms", kind: "number", key: number("pr"), fill: (cell, row) => put(cell, row.pr) },
    { name: "QRS ms", kind: "number", key: number("qrs"), fill: (cell, row) => put(cell, row.qrs) },
    { name: "QTc ms", kind: "number", key: number("qtc"), fill: (cell, row) => put(cell, row.qtc) },
    { name: "Axis °", kind: "number", key: number("axis"), fill: (cell, row) => put(cell, row.axis) },
    { name: "Quality", key: (row) => -(row.warnings?.length ?? 0), fill: (cell, row) => tags(cell, row.warnings, "warn") },
    { name: "Unsure", kind: "number", key: (row) => -(row.doubt ?? -1), fill: fillDoubt },
  ];
  if (data.labelled) {
    COLUMNS.push({ name: "Header says", key: (row) => -((row.missed?.length ?? 0) + (row.added?.length ?? 0)), fill: fillComparison });
  }
  const UNSURE = COLUMNS.findIndex((column) => column.name === "Unsure");

  const state = { column: null, down: false, page: 0 };
  const all = data.recordings.map((row, order) => ({
    ...row, order,
    text: [row.name, ...(row.found ?? []).map(([k]) => data.classes[k]), ...(row.found ?? []).map(([k]) => data.names[k]),
      ...(row.warnings ?? []), row.problem ?? ""].join("\n").toLowerCase(),
  }));
  let shown = all;

  function element(name, words, kind) {
    const made = document.createElement(name);
    if (words !== undefined && words !== null) made.textContent = words;
    if (kind) made.className = kind;
    return made;
  }
  function put(cell, value) { if (value !== null && value !== undefined) cell.textContent = String(value).replace("-", "\u2212"); }
  function tags(cell, words, kind) {
    for (const word of words ?? []) cell.append(element("span", word, `tag ${kind}`), " ");
  }
  function fillName(cell, row) {
    const name = element("bdi", row.name, "clip");
    if (!row.page) { cell.append(name); return; }
    const link = element("a");
    link.href = row.page;
    link.append(name);
    cell.append(link);
  }
  function fillFindings(cell, row) {
    const list = element("div");
    if (row.problem) list.append(element("bdi", row.problem, "reason clip"));
    for (const [k, probability] of row.found ?? []) {
      const line = element("span", null, "finding");
      line.append(element("span", data.names[k]), element("b", probability.toFixed(2)));
      list.append(line);
    }
    cell.append(list);
  }
  function fillDoubt(cell, row) {
    if (row.doubt === undefined || row.doubt === null) return;
    if (row.unsure) cell.append(element("span", "unsure", "tag unsure"), " ");
    cell.append(row.doubt.toFixed(2));
  }
  function fillComparison(cell, row) {
    const list = element("div");
    for (const name of row.missed ?? []) list.append(element("div", `− missed ${name}`));
    for (const name of row.added ?? []) list.append(element("div", `+ added ${name}`));
    if (row.right && !list.childNodes.length) list.append(element("div", "✓ right"));
    cell.append(list);
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / ROWS));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * ROWS;
    body.replaceChildren(...shown.slice(first, first + ROWS).map((row) => {
      const line = element("tr");
      for (const column of COLUMNS) {
        const cell = element("td", null, column.kind);
        cell.dataset.head = column.name;
        column.fill(cell, row);
        line.append(cell);
      }
      return line;
    }));
    byId("count").textContent = `${shown.length} of ${all.length} recordings`;
    document.querySelector(".pager").hidden = pages === 1;
    byId("page-now").textContent = `page ${state.page + 1} of ${pages}`;
    byId("page-before").disabled = state.page === 0;
    byId("page-after").disabled = state.page === pages - 1;
    [...head.children].forEach((cell, k) => {
      if (k === state.column) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    byId("unsure-first").setAttribute("aria-pressed", String(state.column === UNSURE && !state.down));
  }

  function choose() {
    const words = byId("search").value.toLowerCase().trim();
    const finding = byId("finding").value;
    const which = byId("which").value;
    const WHICH = {
      doubts: (row) => row.unsure, warnings: (row) => row.warnings?.length, problem: (row) => row.problem,
      wrong: (row) => row.missed?.length || row.added?.length,
    };
    shown = all.filter((row) => (!words || row.text.includes(words))
      && (finding === "" || row.found?.some(([k]) => String(k) === finding))
      && (which === "" || WHICH[which](row)));
    if (state.column !== null) {
      const { key } = COLUMNS[state.column];
      const sign = state.down ? -1 : 1;
      const keyed = shown.map((row) => [key(row), row]);
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      keyed.sort(([a, x], [b, y]) => sign * (typeof a === "string" ? compare(a, b) : a - b || 0) || x.order - y.order);
      shown = keyed.map(([, row]) => row);
    }
    state.page = 0;
    draw();
  }

  function sortBy(column, down) {
    state.column = column;
    state.down = down;
    choose();
  }

  COLUMNS.forEach((column, k) => {
    const cell = element("th", null, column.kind);
    cell.scope = "col";
    const button = element("button", column.name);
    button.type = "button";
    button.addEventListener("click", () => sortBy(k, state.column === k && !state.down));
    cell.append(button);
    head.append(cell);
  });
  const counts = new Map();
  for (const row of all) for (const [k] of row.found ?? []) counts.set(k, (counts.get(k) ?? 0) + 1);
  for (const [k, count] of [...counts].sort(([a], [b]) => data.names[a].localeCompare(data.names[b]))) {
    const option = element("option", `${data.names[k]} (${count})`);
    option.value = k;
    byId("finding").append(option);
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", choose);
  byId("finding").addEventListener("change", choose);
  byId("which").addEventListener("change", choose);
  byId("unsure-first").addEventListener("click", () => {
    if (state.column === UNSURE && !state.down) sortBy(null, false);
    else sortBy(UNSURE, false);
  });
  byId("page-before").addEventListener("click", () => { state.page -= 1; draw(); });
  byId("page-after").addEventListener("click", () => { state.page += 1; draw(); });
  choose();

  // One file for all: the address says which recording is shown.
  if (!window.REPORT) {
    const pages = data.recordings.filter((row) => row.page);
    const show = () => {
      const at = pages.findIndex((row) => row.page === location.hash);
      byId("overview").hidden = at >= 0;
      for (const page of document.querySelectorAll(".single")) page.hidden = `#${page.id}` !== location.hash;
      const neighbour = (id, row) => {
        byId(id).hidden = !row;
        byId(id).setAttribute("href", row?.page ?? "#");
      };
      neighbour("before", at > 0 ? pages[at - 1] : undefined);
      neighbour("after", at >= 0 ? pages[at + 1] : undefined);
      scrollTo(0, 0);
    };
    addEventListener("hashchange", show);
    show();
  }
});
