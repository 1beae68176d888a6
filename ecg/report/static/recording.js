"use strict";
// A recording's page: keys for the recording before and after and for the layout, and the zoom on a lead.
document.addEventListener("DOMContentLoaded", () => {
  const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
  const dialog = document.getElementById("zoom");
  const picture = document.getElementById("zoom-picture");
  const visible = () => [...document.querySelectorAll("article.recording")].find((article) => article.offsetParent !== null);
  let now = "II";

  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  // One mm is 40 units, as in ecg_paper.py.
  const lines = (top, bottom, step) => {
    let path = "";
    for (let x = 0; x <= 10000; x += step) path += `M${x} ${top}V${bottom}`;
    for (let y = top; y <= bottom; y += step) path += `M0 ${y}H10000`;
    return path;
  };

  const zoom = (lead) => {
    const article = visible();
    if (!article) return;
    now = lead;
    document.getElementById("zoom-title").textContent = `Lead ${lead}`;
    if (!dialog.open) dialog.showModal();
    const trace = make("use", { href: `#${article.dataset.prefix}lead-${lead}` });
    picture.replaceChildren(trace);
    const box = trace.getBBox();
    const top = Math.min(-600, Math.floor((box.y - 50) / 200) * 200);
    const bottom = Math.max(600, Math.ceil((box.y + box.height + 50) / 200) * 200);
    picture.setAttribute("viewBox", `0 ${top} 10000 ${bottom - top}`);
    picture.setAttribute("aria-label", `Lead ${lead} over ten seconds, a large square is 0.2 s and 0.5 mV`);
    picture.prepend(make("rect", { class: "sheet", y: top, width: 10000, height: bottom - top }),
      make("path", { class: "minor", d: lines(top, bottom, 40) }),
      make("path", { class: "major", d: lines(top, bottom, 200) }));
  };
  const step = (by) => zoom(LEADS[(LEADS.indexOf(now) + by + 12) % 12]);

  // The recordings before and after, from order.js.
  const order = window.ORDER ?? [];
  const at = order.findIndex(([page]) => location.pathname.endsWith(`/${page}`));
  for (const [id, place] of at < 0 ? [] : [["before", at - 1], ["after", at + 1]]) {
    const link = document.getElementById(id);
    const [page, name] = order[place] ?? [];
    link.hidden = !page;
    link.href = page ?? "#";
    link.querySelector("bdi").textContent = name ?? "";
  }

  for (const group of document.querySelectorAll(".leads")) group.hidden = false;
  document.addEventListener("click", (event) => {
    const lead = event.target.closest?.("[data-lead]");
    if (lead) zoom(lead.dataset.lead);
  });
  document.getElementById("zoom-before").addEventListener("click", () => step(-1));
  document.getElementById("zoom-after").addEventListener("click", () => step(1));
  document.getElementById("zoom-close").addEventListener("click", () => dialog.close());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (dialog.open) {
      if (sideways && !event.target.closest(".scroll")) step(sideways);
      return;
    }
    const article = visible();
    if (!article) return;
    if (sideways && !event.target.closest(".scroll")) {
      const link = document.querySelector(sideways < 0 ? "a[rel=prev]:not([hidden])" : "a[rel=next]:not([hidden])");
      if (link) link.click();
    } else if (/^[123]$/.test(event.key)) {
      article.querySelectorAll(".choice input")[event.key - 1]?.click();
    } else if (event.key === "z") {
      zoom(now);
    } else if (event.key === "i") {
      document.querySelector(".brand a").click();
    }
  });
});
