// The table of rows as a worklist: what needs a look stands first; searched, sorted, by keyboard.

const rowTable = /** @type {HTMLTableElement} */ (document.getElementById("cluster-table"));
const rowBody = rowTable.tBodies[0];
/** As the index has them, whatever their order on the page. */
const rowElements = Array.from(rowBody.rows);
const rowCards = rowElements.map(
  (row) => /** @type {HTMLElement} */ (document.getElementById(row.dataset.card || "")),
);
const rowHead = /** @type {HTMLTableSectionElement} */ (rowTable.tHead).rows[0];
const searchBox = /** @type {HTMLInputElement} */ (document.getElementById("search"));
/** Which cell of a row has the label; a page of labels has it in the first. */
const LABEL_CELL = index.noun === "label" ? -1 : 2;
/** Where the columns stand that the script adds: what one works by is seen on a phone too. */
const LOOK_CELL = index.noun === "label" ? 2 : 3;
const DECISION_CELL = LOOK_CELL + 1;

/** Reasons for a look, the heaviest first; one that is not here weighs as little as the last. */
const HEAVY_REASONS = ["failed", "stale", "needs_work", "unknown", "mixed", "low_confidence"];

/** How much a row wants a look; nothing where it is decided. @param {number} row */
function lookWeight(row) {
  if (isDecided(row)) return 0;
  const weights = index.rows[row].attention.map(({ code }) => {
    const place = HEAVY_REASONS.indexOf(code);
    return place < 0 ? 1 : 2 ** (HEAVY_REASONS.length - place);
  });
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/** @param {string} code */
const reasonWords = (code) => code.replaceAll("_", " ");

const MOST_CHIPS = 2;

/** @param {number} row */
function reasonChips(row) {
  const { attention } = index.rows[row];
  const chips = attention
    .slice(0, MOST_CHIPS)
    .map(({ code, text }) => element("li", { title: text }, reasonWords(code)));
  const rest = attention.slice(MOST_CHIPS);
  if (rest.length)
    chips.push(element("li", { title: rest.map((r) => r.text).join("\n") }, `+${rest.length}`));
  return chips.length
    ? element("ul", { class: "reasons" }, ...chips)
    : element("span", { class: "muted" }, "–");
}

/** What the engine said, where another label is in force. @param {number} row */
function engineWords(row) {
  const { label } = engineOf(row);
  return labelOf(row) === label
    ? null
    : element("small", { class: "engine-says" }, `engine: ${label ?? "no label"}`);
}

const STATUS_SIGNS = { ok: "✓", unknown: "?", failed: "✕", skipped: "–" };
/** Cells as the page was written with them, by class. @type {Map<Element, Node[]>} */
const writtenCells = new Map();

/** Term and status of the label in force. @param {number} row */
function fillOntology(row) {
  const given = index.rows[row],
    now = inForce(row);
  const [ontology, status] = rowElements[row].querySelectorAll(".lesser");
  for (const cell of [ontology, status])
    if (!writtenCells.has(cell)) writtenCells.set(cell, [...cell.childNodes]);
  if (now.label === given.label && now.ontology_id === given.ontology_id) {
    for (const cell of [ontology, status])
      cell.replaceChildren(.../** @type {Node[]} */ (writtenCells.get(cell)));
    return;
  }
  /** @type {Row["status"]} */
  const is = isDecided(row) ? (now.label === "Unknown" ? "unknown" : "ok") : engineOf(row).status;
  ontology.replaceChildren(now.ontology_id ?? element("span", { class: "muted" }, "–"));
  status.replaceChildren(
    element(
      "span",
      { class: `status status-${is}` },
      element("span", { "aria-hidden": "true" }, STATUS_SIGNS[is]),
      ` ${is}`,
    ),
  );
}

/** Label and decision of a row, as they are now. @param {number} row */
function fillRow(row) {
  const cells = rowElements[row].cells;
  const { label, decision } = inForce(row);
  if (LABEL_CELL >= 0) {
    const words =
      label === null
        ? element("span", { class: "muted" }, "no label")
        : element("span", { class: "label" }, label);
    cells[LABEL_CELL].replaceChildren(words, engineWords(row) ?? "");
    cells[LABEL_CELL].dataset.value = label ?? "";
  }
  if (LABEL_CELL >= 0)
    /** @type {Node} */ (rowCards[row].querySelector("h3 .cluster")?.nextSibling).textContent =
      ` ${label ?? "no label"}`;
  fillOntology(row);
  rowElements[row].classList.toggle("settled", isDecided(row));
  const last = cells[DECISION_CELL];
  last.dataset.value = decision ? decisionWords(decision.decision) : "";
  if (!decision) return last.replaceChildren(element("span", { class: "muted" }, "–"));
  const what = element("span", { class: `decision ${decision.decision}` }, decisionWords(decision.decision));
  const by = decision.by ? element("small", { class: "muted" }, ` ${decision.by}`) : "";
  const now =
    LABEL_CELL < 0 && label !== index.rows[row].cluster ? element("small", {}, ` ${label ?? ""}`) : "";
  last.replaceChildren(what, now, by);
}

/** Columns that give way where there is little room: the card has what they say. */
const LESSER_COLUMNS = ["Ontology", "Status"];

/** Columns that only the script can fill. */
function addColumns() {
  Array.from(rowHead.cells).forEach((head, column) => {
    if (!LESSER_COLUMNS.includes(head.textContent || "")) return;
    for (const cell of [head, ...rowElements.map((row) => row.cells[column])]) cell.classList.add("lesser");
  });
  const look = element("th", { scope: "col", class: "look", "data-kind": "number" }, "Needs a look");
  rowTable.classList.toggle(
    "calm",
    index.rows.every((row) => !row.attention.length),
  );
  rowHead.cells[LOOK_CELL - 1].after(look, element("th", { scope: "col" }, "Decision"));
  rowElements.forEach((tr, row) => {
    tr.cells[LOOK_CELL - 1].after(
      element("td", { class: "look" }, reasonChips(row)),
      element("td", { class: "decided-as" }),
    );
    fillRow(row);
  });
}

const rowCollator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * @param {HTMLTableRowElement} one
 * @param {HTMLTableRowElement} other
 * @param {number} column
 * @param {boolean} number
 */
function orderOf(one, other, column, number) {
  const a = one.cells[column].dataset.value || "";
  const b = other.cells[column].dataset.value || "";
  // What is missing comes last in either direction.
  if (a === "" || b === "") return { missing: Number(a === "") - Number(b === ""), order: 0 };
  return { missing: 0, order: number ? Number(a) - Number(b) : rowCollator.compare(a, b) };
}

/** @param {number} column @param {boolean} falling */
function markSorted(column, falling) {
  for (const head of rowHead.cells) head.removeAttribute("aria-sort");
  rowHead.cells[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
}

/** @param {number} column @param {boolean} falling */
function sortRows(column, falling) {
  const number = rowHead.cells[column].dataset.kind === "number";
  markSorted(column, falling);
  const sorted = rowElements.slice().sort((one, other) => {
    const found = orderOf(one, other, column, number);
    return found.missing || (falling ? -found.order : found.order);
  });
  rowBody.append(...sorted);
}

/** What needs a look most comes first, of equals what is least sure. */
function sortByLook() {
  const order = index.rows.map((row, i) => ({
    i,
    weight: lookWeight(i),
    confidence: row.confidence ?? (row.label === null ? -1 : 2),
    done: isDecided(i),
  }));
  order.sort(
    (a, b) =>
      Number(a.done) - Number(b.done) || b.weight - a.weight || a.confidence - b.confidence || a.i - b.i,
  );
  markSorted(LOOK_CELL, true);
  order.forEach(({ i, weight }) => (rowElements[i].cells[LOOK_CELL].dataset.value = String(weight)));
  rowBody.append(...order.map(({ i }) => rowElements[i]));
}

function makeSortable() {
  Array.from(rowHead.cells).forEach((head, column) => {
    const button = element("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      // Most needed is what one looks for first; the second click turns it round.
      if (column === LOOK_CELL && head.getAttribute("aria-sort") !== "descending") return sortByLook();
      sortRows(column, head.getAttribute("aria-sort") === "ascending");
    });
  });
}

/** Searched words of each row: what it shows, and its evidence. @type {string[]} */
let rowWords = [];

function readWords() {
  rowWords = rowElements.map((row, i) => {
    const parts = Array.from(rowCards[i].querySelectorAll("[data-search]"), (e) => e.textContent);
    return [row.textContent, ...parts].join(" ").toLowerCase();
  });
}

function findRows() {
  const sought = searchBox.value.toLowerCase().split(/\s+/).filter(Boolean);
  const open = /** @type {HTMLInputElement} */ (document.getElementById("undecided")).checked;
  let shown = 0;
  rowElements.forEach((row, i) => {
    const fits = sought.every((word) => rowWords[i].includes(word)) && !(open && isDecided(i));
    row.hidden = !fits;
    // The chosen card stays: one decides about it while the table is narrowed.
    rowCards[i].hidden = !fits && state.row !== i;
    shown += fits ? 1 : 0;
  });
  const count = /** @type {HTMLElement} */ (document.getElementById("count"));
  count.textContent = sought.length || open ? `${shown} of ${rowElements.length} ${index.noun}s` : "";
  setTabStop();
}

/** One row is reached by Tab: the chosen one, else the first that is seen. */
function setTabStop() {
  const chosen = state.row === null || rowElements[state.row].hidden ? seenRows()[0] : rowElements[state.row];
  for (const row of rowElements) row.tabIndex = row === chosen ? 0 : -1;
}

/** Rows as they stand, without those that a search has hidden. */
const seenRows = () =>
  /** @type {HTMLTableRowElement[]} */ (Array.from(rowBody.rows)).filter((row) => !row.hidden);

function markChosenRow() {
  rowElements.forEach((row, i) => row.setAttribute("aria-selected", String(i === state.row)));
  setTabStop();
  showChosenRow();
}

/** Where the table scrolls by itself, a row that was chosen on the map comes into sight. */
function showChosenRow() {
  const frame = /** @type {HTMLElement} */ (rowTable.parentElement);
  if (state.row === null || frame.scrollHeight <= frame.clientHeight) return;
  const { offsetTop, offsetHeight } = rowElements[state.row];
  const above = frame.scrollTop + rowHead.offsetHeight;
  if (offsetTop >= above && offsetTop + offsetHeight <= frame.scrollTop + frame.clientHeight) return;
  frame.scrollTop = offsetTop - frame.clientHeight / 2;
}

/** @param {number} step down, or up if negative */
function moveRow(step) {
  const seen = seenRows();
  if (!seen.length) return;
  const at = state.row === null ? -1 : seen.indexOf(rowElements[state.row]);
  const next = at < 0 ? (step > 0 ? 0 : seen.length - 1) : Math.max(0, Math.min(seen.length - 1, at + step));
  chooseRow(rowElements.indexOf(seen[next]));
  seen[next].focus();
}

/** @param {number} row */
function chooseRow(row) {
  if (row === state.row) return;
  change({ row });
  const { label } = inForce(row);
  say(`${rowName(row)}, ${label ?? "no label"}${index.rows[row].attention.length ? ", needs a look" : ""}`);
}

function followClicks() {
  rowBody.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const row = target.closest("tr");
    if (row) chooseRow(rowElements.indexOf(/** @type {HTMLTableRowElement} */ (row)));
  });
  // A link to a card chooses its row, and shows one again that a search has hidden.
  const follow = () => {
    const row = rowElements.findIndex((r) => r.dataset.card === location.hash.slice(1));
    if (row < 0) return;
    if (rowElements[row].hidden) {
      searchBox.value = "";
      findRows();
    }
    chooseRow(row);
    rowCards[row].scrollIntoView();
  };
  window.addEventListener("hashchange", follow);
  addEventListener("load", follow);
}

/** Whether a key is meant for a field, or for something else than the page. @param {KeyboardEvent} event */
function isTyped(event) {
  const { target } = event;
  if (!(target instanceof Element) || event.ctrlKey || event.metaKey || event.altKey) return true;
  return Boolean(target.closest("input, textarea, select, dialog, [contenteditable]"));
}

/**
 * Keys of the list and of the card work there, and where nothing has the focus.
 * @param {KeyboardEvent} event
 */
function isForRows(event) {
  const target = /** @type {Element} */ (event.target);
  return target === document.body || Boolean(target.closest("#list, #card"));
}

/** @type {Record<string, {what: string, call: () => void}>} */
const ROW_KEYS = {
  j: { what: "the next row (also ↓ in the table)", call: () => moveRow(1) },
  k: { what: "the row before (also ↑ in the table)", call: () => moveRow(-1) },
  a: { what: "accept the label", call: () => decideByKey("accepted") },
  u: { what: "Unknown", call: () => decideByKey("unknown") },
  w: { what: "needs work", call: () => decideByKey("needs_work") },
  r: { what: "give another type", call: () => focusType() },
  z: { what: "undo your last decision", call: () => undoOwn() },
};

/** From the search all rows are seen again, from the card one is back in the table. */
function leavePlace() {
  if (document.activeElement === searchBox) {
    searchBox.value = "";
    findRows();
  } else if (state.row !== null && cardSection.contains(document.activeElement)) {
    rowElements[state.row].focus();
  }
}

function followKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) leavePlace();
    if (isTyped(event)) return;
    if (event.key === "/") searchBox.focus();
    else if (event.key === "?") keyDialog.showModal();
    else if (isForRows(event) && ROW_KEYS[event.key]) ROW_KEYS[event.key].call();
    else return;
    event.preventDefault();
  });
  // Who comes by Tab is at the row that the keys are about.
  rowBody.addEventListener("focusin", (event) => {
    const row = rowElements.indexOf(/** @type {any} */ (event.target));
    if (row >= 0) chooseRow(row);
  });
  rowBody.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -rowElements.length, End: rowElements.length };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step) moveRow(step);
    else if (event.key === "Enter" && /** @type {Element} */ (event.target).matches("tr")) openCard();
    else return;
    event.preventDefault();
  });
}

/** From the row to its card. */
function openCard() {
  if (state.row === null) moveRow(1);
  const card = /** @type {HTMLElement} */ (document.getElementById("card"));
  card.scrollIntoView({ block: "nearest" });
  card.focus({ preventScroll: true });
}

/** @type {HTMLDialogElement} */
const keyDialog = element(
  "dialog",
  { id: "keys", "aria-labelledby": "keys-title" },
  element("h2", { id: "keys-title" }, "Keys"),
  element(
    "dl",
    {},
    ...[
      ["/", "search"],
      ["Enter", "from the row to its card (Esc: back)"],
      ...Object.entries(ROW_KEYS).map(([key, { what }]) => [key, what]),
      ["?", "these keys"],
    ].map(([key, what]) =>
      element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)),
    ),
  ),
  element("form", { method: "dialog" }, element("button", {}, "Close")),
);

/** The table as a file, with what was decided on this page. */
function tableFile() {
  const button = /** @type {HTMLElement} */ (document.getElementById("download"));
  const bytes = Uint8Array.from(atob(button.dataset.csv || ""), (c) => c.charCodeAt(0));
  const [names, ...lines] = fieldsOf(new TextDecoder().decode(bytes), ",");
  lines.forEach((line, row) => {
    const { label, ontology_id, decision } = inForce(row);
    const given = index.decisions.find((d) => d.id === decision?.id);
    if (given || (!decision && !line[names.indexOf("decision")])) return;
    const engine = engineOf(row);
    const now = {
      label,
      ontology_id,
      ontology_label: null,
      status: isDecided(row) ? (label === "Unknown" ? "unknown" : "ok") : engine.status,
      engine_label: decision && engine.label,
      engine_status: decision && engine.status,
      engine_ontology_id: decision && engine.ontology_id,
      decision: decision?.decision,
      decided_by: decision?.by,
      decided_at: decision?.at,
      reason: decision?.reason,
    };
    for (const [name, value] of Object.entries(now))
      if (names.includes(name)) line[names.indexOf(name)] = value ?? "";
  });
  // What was guarded against formulas when it was written keeps its guard, and gets no second one.
  return csvOf([names, ...lines]);
}

(function startTable() {
  rowTable.setAttribute("role", "grid");
  rowTable.setAttribute("aria-readonly", "true");
  const tools = /** @type {HTMLElement} */ (document.getElementById("tools"));
  tools.hidden = false;
  const only = element("input", { type: "checkbox", id: "undecided", onchange: findRows });
  const open = element("label", { class: "check" }, only, " undecided only");
  const keys = element("button", { type: "button", onclick: () => keyDialog.showModal() }, "Keys");
  tools.append(keys);
  /** @type {HTMLElement} */ (document.getElementById("count")).before(open);
  document.body.append(keyDialog);
  addColumns();
  makeSortable();
  readWords();
  sortByLook();
  markChosenRow();
  searchBox.addEventListener("input", findRows);
  followClicks();
  followKeys();
  /** @type {HTMLElement} */ (document.getElementById("download")).addEventListener("click", () =>
    download("annotations.csv", tableFile()),
  );
  /** @type {HTMLElement} */ (document.getElementById("print")).addEventListener("click", () =>
    window.print(),
  );
  on(["row"], markChosenRow);
  on(["decisions"], () => {
    index.rows.forEach((_, row) => fillRow(row));
    readWords();
    findRows();
  });
})();
