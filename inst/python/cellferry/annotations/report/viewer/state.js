// What the parts of the page have in common, and who is told when it changes.

/**
 * @typedef {{by: "label"} | {by: "cluster"} | {by: "level", level: number} | {by: "column", column: number}
 *   | {by: "gene", gene: number, name: string} | {by: "feature", assay: number, gene: number, name: string}
 *   | {by: "decision"} | {by: "confidence"}} Colouring
 * @typedef {{column: number, levels: Set<number> | null, low: number | null, high: number | null}} Filter
 *
 * @typedef {object} Kept how safe the decisions are
 * @property {number} own decisions that a person can undo
 * @property {number} made in this page, and held in it only
 * @property {number} downloaded of those
 * @property {number} unsent that the server has not answered yet
 * @property {string} problem why not
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
 * @property {Kept} kept
 */

/** @type {State} */
const state = {
  row: null,
  other: null,
  embedding: 0,
  colouring: { by: "label" },
  filters: [],
  shown: null,
  chosen: null,
  hidden: new Set(),
  decisions: index.decisions,
  lists: index.lists,
  kept: { own: 0, made: 0, downloaded: 0, unsent: 0, problem: "" },
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

/** The page is dark where a person wants it so, and never on paper. */
const darkness = matchMedia("(prefers-color-scheme: dark)");
const onPaper = matchMedia("print");
const isDark = () => darkness.matches && !onPaper.matches;

/** Call something when the page changes between light, dark and paper. @param {() => void} call */
function onScheme(call) {
  for (const query of [darkness, onPaper]) query.addEventListener("change", call);
}

/** Cells of a mask. @param {Uint8Array} mask of zeros and ones */
function cellsIn(mask) {
  let n = 0;
  for (let i = 0; i < mask.length; i++) n += mask[i];
  return n;
}

/**
 * A row as the engine answered it.
 * @param {number} row
 * @returns {{label: string | null, status: Row["status"], ontology_id: string | null}}
 */
function engineOf(row) {
  const { label, status, ontology_id, engine_label, engine_status, engine_ontology_id } = index.rows[row];
  if (engine_status === null) return { label, status, ontology_id };
  return {
    label: engine_label,
    status: /** @type {Row["status"]} */ (engine_status),
    ontology_id: engine_ontology_id,
  };
}

/**
 * What is in force for a row, and the decision that says so.
 * @param {number} row
 * @returns {{label: string | null, ontology_id: string | null, decision: Decision | null}}
 */
function inForce(row) {
  const given = index.rows[row];
  const last = state.decisions.findLast((d) => d.cluster === given.cluster && d.state === "in force") || null;
  const { label, ontology_id } = engineOf(row);
  const engine = { label, ontology_id };
  if (!last || last.decision === "withdrawn") return { ...engine, decision: null };
  if (last.decision === "needs_work") return { ...engine, decision: last };
  if (last.decision === "unknown") return { label: "Unknown", ontology_id: null, decision: last };
  return { label: last.label, ontology_id: last.ontology_id, decision: last };
}

/** The label in force of a row with what was decided on this page. @param {number} row */
function labelOf(row) {
  return inForce(row).label;
}

/** Whether somebody has decided what a row is. @param {number} row */
function isDecided(row) {
  const { decision } = inForce(row);
  return decision !== null && decision.decision !== "needs_work";
}
