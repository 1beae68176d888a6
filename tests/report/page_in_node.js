"use strict";
// A page's scripts in Node, with as much of a document as they use: what they show is printed as JSON.
// node page_in_node.js index|recording SCRIPT...  with the data on standard input
const fs = require("fs");

class Element {
  constructor(name) { Object.assign(this, { name, children: [], attributes: {}, dataset: {}, listeners: {}, textContent: "", className: "", value: "", hidden: false, disabled: false, open: false, id: "" }); }
  get childNodes() { return this.children; }
  append(...parts) { this.children.push(...parts); }
  prepend(...parts) { this.children.unshift(...parts); }
  replaceChildren(...parts) { this.children = parts; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  removeAttribute(name) { delete this.attributes[name]; }
  addEventListener(kind, listener) { (this.listeners[kind] ??= []).push(listener); }
  fire(kind, event = {}) { for (const listener of this.listeners[kind] ?? []) listener({ preventDefault() {}, target: this, ...event }); }
  click() { this.clicks = (this.clicks ?? 0) + 1; this.fire("click"); }
  closest() { return null; }
  querySelector() { return this.bdi ??= new Element("bdi"); }
  querySelectorAll() { return this.inputs ?? []; }
  showModal() { this.open = true; }
  close() { this.open = false; }
  getBBox() { return { y: this.attributes.href.endsWith("V1") ? -950 : -300, height: this.attributes.href.endsWith("V1") ? 1400 : 500 }; }
  get words() { return (this.textContent + this.children.map((child) => (typeof child === "string" ? child : child.words)).join("")).trim(); }
}

const elements = {};
const byId = (id) => (elements[id] ??= Object.assign(new Element("div"), { id }));
const head = new Element("tr");
const body = new Element("tbody");
const pager = new Element("nav");
const brand = new Element("a");
const article = Object.assign(new Element("article"), { offsetParent: {}, inputs: [0, 1, 2].map(() => new Element("input")) });
article.dataset.prefix = "r2-";
const singles = [];
const given = JSON.parse(fs.readFileSync(0, "utf8"));
const [kind, ...scripts] = process.argv.slice(2);
global.window = global;
global.document = Object.assign(new Element("document"), {
  getElementById: (id) => (id === "data" ? { textContent: JSON.stringify(given.data) } : byId(id)),
  createElement: (name) => new Element(name),
  createElementNS: (space, name) => new Element(name),
  querySelector: (what) => ({ "#recordings thead tr": head, "#recordings tbody": body, ".pager": pager, ".brand a": brand }[what]
    ?? (what.includes("prev") ? (byId("before").hidden ? null : byId("before")) : what.includes("next") ? (byId("after").hidden ? null : byId("after")) : null)),
  querySelectorAll: (what) => (what === ".single" ? singles : what === "article.recording" ? [article] : []),
});
global.location = { hash: given.hash ?? "", pathname: given.pathname ?? "" };
global.scrollTo = () => {};
const onWindow = {};
global.addEventListener = (name, listener) => { onWindow[name] = listener; };
if (given.report) global.REPORT = given.data;
if (given.order) global.ORDER = given.order;
for (const page of given.singles ?? []) singles.push(Object.assign(new Element("div"), { id: page }));
for (const script of scripts) new Function(fs.readFileSync(script, "utf8"))();
document.fire("DOMContentLoaded");

const rows = () => body.children.map((line) => line.children.map((cell) => cell.words));
const neighbours = () => ["before", "after"].map((id) => [byId(id).hidden, byId(id).href ?? byId(id).attributes.href, byId(id).bdi?.textContent ?? ""]);
const STEPS = {
  set: ([id, value]) => { byId(id).value = value; byId(id).fire(id === "search" ? "input" : "change"); },
  click: (id) => byId(id).click(),
  sort: (name) => head.children.find((cell) => cell.words === name).children[0].click(),
  hash: (hash) => { global.location.hash = hash; onWindow.hashchange(); },
  key: (key) => document.fire("keydown", { key, target: { closest: () => null } }),
  lead: (lead) => document.fire("click", { target: { closest: () => ({ dataset: { lead } }) } }),
};
const SHOWN = {
  names: () => rows().map((row) => row[0]),
  rows,
  head: () => head.children.map((cell) => [cell.words, cell.attributes["aria-sort"] ?? ""]),
  count: () => byId("count").textContent,
  pager: () => [pager.hidden, byId("page-now").textContent, byId("page-before").disabled, byId("page-after").disabled],
  options: () => byId("finding").children.map((option) => [option.words, option.value]),
  pressed: () => byId("unsure-first").attributes["aria-pressed"],
  single: () => [byId("overview").hidden, singles.filter((page) => !page.hidden).map((page) => page.id), neighbours()],
  neighbours,
  zoom: () => [byId("zoom").open, byId("zoom-title").textContent, byId("zoom-picture").attributes.viewBox, byId("zoom-picture").children.map((child) => child.attributes.href ?? child.attributes.class)],
  lines: () => byId("zoom-picture").children.filter((child) => child.attributes.d).map((child) => child.attributes.d.slice(0, 40)),
  clicks: () => [byId("before").clicks ?? 0, byId("after").clicks ?? 0, brand.clicks ?? 0, article.inputs.map((input) => input.clicks ?? 0)],
};
const found = [];
for (const [what, argument] of given.steps) {
  if (what in SHOWN) found.push(SHOWN[what]());
  else STEPS[what](argument);
}
console.log(JSON.stringify(found));
