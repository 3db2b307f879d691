// What the parts of the page have in common, and who is told when it changes.

/**
 * @typedef {{by: "label"} | {by: "cluster"} | {by: "level", level: number} | {by: "column", column: number}
 *   | {by: "gene", gene: number, name: string} | {by: "feature", assay: number, gene: number, name: string}
 *   | {by: "decision"} | {by: "confidence"}} Colouring
 * @typedef {{column: number, levels: Set<number> | null, low: number | null, high: number | null}} Filter
 *
 * @typedef {object} State
 * @property {number | null} row the chosen row
 * @property {number | null} other the row it is compared with
 * @property {number} embedding
 * @property {Colouring} colouring
 * @property {Filter[]} filters on columns; a cell must pass all
 * @property {Uint8Array | null} shown 1 for cells that pass the filters; null: all do
 * @property {Uint8Array | null} chosen 1 for cells of the selection; null: there is none
 * @property {Set<number>} hidden rows whose cells are not drawn
 * @property {Decision[]} decisions the oldest first, those of the page included
 * @property {{name: string, genes: string[]}[]} lists of genes, pasted or read
 */

/** @type {State} */
const state = {
  row: null, other: null, embedding: 0, colouring: { by: "label" }, filters: [], shown: null, chosen: null,
  hidden: new Set(), decisions: index.decisions, lists: [],
};

/** @type {Map<string, Set<() => void>>} */
const listeners = new Map();

/** Call something whenever one of these changes. @param {(keyof State)[]} names @param {() => void} call */
function on(names, call) {
  for (const name of names) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    /** @type {Set<() => void>} */ (listeners.get(name)).add(call);
  }
}

/** Change something and tell who listens, each once. @param {Partial<State>} change */
function change(change) {
  Object.assign(state, change);
  /** @type {Set<() => void>} */
  const told = new Set();
  for (const name of Object.keys(change)) for (const call of listeners.get(name) || []) told.add(call);
  for (const call of told) call();
}

/** Whether the page is dark. */
const darkness = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => darkness.matches;

/**
 * An element with attributes and children; text is text and never markup.
 * @param {string} name
 * @param {Record<string, any>} [attributes] `on…` are listeners, `class`, `data-…`; true is an empty attribute
 * @param {(Node | string | null | undefined)[]} children
 * @returns {any}
 */
function element(name, attributes = {}, ...children) {
  const made = SVG_NAMES.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on") && typeof value === "function") made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => /** @type {Node | string} */ (child)));
  return made;
}
const SVG_NAMES = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "tspan", "polygon", "polyline", "defs", "clipPath"]);

/** Say something to those who do not see the pictures. @param {string} text */
function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

/** Whole numbers with thin spaces, as the rest of the page has them. @param {number} n */
const whole = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** The label in force of a row with what was decided on this page. @param {number} row */
function labelOf(row) {
  return inForce(row).label;
}

/**
 * What is in force for a row, and the decision that says so.
 * @param {number} row
 * @returns {{label: string | null, ontology_id: string | null, decision: Decision | null}}
 */
function inForce(row) {
  const given = index.rows[row];
  const last = state.decisions.findLast((d) => d.cluster === given.cluster && d.state === "in force") || null;
  const engine = given.engine_status === null
    ? { label: given.label, ontology_id: given.ontology_id }
    : { label: given.engine_label, ontology_id: given.engine_ontology_id };
  if (!last || last.decision === "withdrawn") return { ...engine, decision: null };
  if (last.decision === "needs_work") return { ...engine, decision: last };
  if (last.decision === "unknown") return { label: "Unknown", ontology_id: null, decision: last };
  return { label: last.label, ontology_id: last.ontology_id, decision: last };
}

/** Hand a file to the person. @param {string} name @param {Blob} content */
function download(name, content) {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** CSV of rows of texts and numbers, in which nothing is a formula. @param {(string | number | null)[][]} rows */
function csvOf(rows) {
  const cell = (/** @type {string | number | null} */ value) => {
    if (typeof value === "number") return String(value);
    const text = value === null ? "" : /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return new Blob([rows.map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" });
}
