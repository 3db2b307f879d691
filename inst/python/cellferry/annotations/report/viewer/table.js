"use strict";
(function () {
  const table = document.getElementById("cluster-table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const tools = document.getElementById("tools");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const cards = rows.map((row) => document.getElementById(row.dataset.card));
  const words = rows.map((row, i) => {
    const parts = Array.from(cards[i].querySelectorAll("[data-search]"), (e) => e.textContent);
    return [row.textContent, ...parts].join(" ").toLowerCase();
  });
  tools.hidden = false;

  function find() {
    const sought = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = sought.every((word) => words[i].includes(word));
      row.hidden = !fits;
      cards[i].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = sought.length ? shown + " of " + rows.length + " " + table.dataset.noun + "s" : "";
  }
  search.addEventListener("input", find);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      find();
    }
  });

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  function compare(one, other, column, number) {
    const a = one.cells[column].dataset.value;
    const b = other.cells[column].dataset.value;
    // What is missing comes last in either direction.
    if (a === "" || b === "") return { missing: (a === "") - (b === ""), order: 0 };
    return { missing: 0, order: number ? Number(a) - Number(b) : collator.compare(a, b) };
  }
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const number = head.dataset.kind === "number";
      const sorted = rows.slice().sort((one, other) => {
        const found = compare(one, other, column, number);
        return found.missing || (falling ? -found.order : found.order);
      });
      body.append(...sorted);
    });
  });

  const download = document.getElementById("download");
  download.addEventListener("click", () => {
    const bytes = Uint8Array.from(atob(download.dataset.csv), (c) => c.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "text/csv" }));
    link.download = "annotations.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  document.getElementById("print").addEventListener("click", () => window.print());

  // A link to a card that a search has hidden shows it again.
  window.addEventListener("hashchange", () => {
    const card = document.getElementById(location.hash.slice(1));
    if (card && card.hidden) {
      search.value = "";
      find();
      card.scrollIntoView();
    }
  });
})();
