// The decisions: kept in the page and handed out as a file, or sent to the server at once.

/**
 * @typedef {{decision: Decision["decision"], label?: string | null, ontology_id?: string | null}} Verdict
 * @typedef {{row: number} | {cells: string, n: number}} About a row of the table, or chosen cells
 */

const UNKNOWN_LABEL = "Unknown";
const ASKED_EVERY = 1500;
/** What a file of decisions has of each that was made here. @type {Record<string, any>[]} */
const fileEntries = [];

/**
 * Own decisions, the last at the end: what they were about, and what was in force before.
 * @type {{about: About, before: Decision | null}[]}
 */
const ownDecisions = [];

/** Sent, and not answered yet. @type {Wish[]} */
const unsent = [];
let isSending = false;
const NO_ANSWER = "The server does not answer.";

/** @param {Partial<Kept>} now */
function setKept(now) {
  const counts = { own: ownDecisions.length, made: fileEntries.length, unsent: unsent.length };
  change({ kept: { ...state.kept, ...counts, ...now } });
}

/**
 * A verdict in the words of the decision file: the engine's own label is accepted.
 * @param {Verdict} verdict
 * @param {number} row
 * @returns {Verdict | null}
 */
function ofEngine(verdict, row) {
  const engine = engineOf(row);
  if (verdict.decision === "unknown" || verdict.label?.toLowerCase() === "unknown")
    return { decision: "unknown", label: UNKNOWN_LABEL, ontology_id: null };
  if (verdict.decision === "accepted") {
    if (engine.label === null) return null;
    if (engine.label === UNKNOWN_LABEL)
      return { decision: "unknown", label: UNKNOWN_LABEL, ontology_id: null };
    return { ...verdict, label: engine.label, ontology_id: engine.ontology_id };
  }
  if (verdict.decision === "relabelled" && verdict.label === engine.label) {
    return { decision: "accepted", label: engine.label, ontology_id: engine.ontology_id };
  }
  return verdict;
}

/**
 * Keep a decision, or send it.
 * @param {About} about
 * @param {Verdict & {reason?: string | null, by?: string | null}} verdict
 * @param {boolean} [isUndo]
 */
async function put(about, verdict, isUndo = false) {
  const before = "row" in about ? inForce(about.row).decision : null;
  if (index.live) {
    const wish = "row" in about ? { cluster: index.rows[about.row].cluster } : { cells: about.cells };
    unsent.push({ ...wish, ...verdict });
    sendUnsent();
  } else {
    await keepInPage(about, verdict);
  }
  if (!isUndo) ownDecisions.push({ about, before });
  const what = "row" in about ? rowName(about.row) : `${whole(about.n)} cells`;
  say(`${what}: ${verdict.decision === "relabelled" ? verdict.label : decisionWords(verdict.decision)}.`);
  setKept({});
}

/** @param {About} about @param {Verdict & {reason?: string | null, by?: string | null}} verdict */
async function keepInPage(about, verdict) {
  const row = "row" in about ? index.rows[about.row] : null;
  const label = verdict.label ?? null,
    ontology_id = verdict.ontology_id ?? null;
  const term = ontology_id && (await terms().catch(() => [])).find((t) => t.id === ontology_id);
  const at = new Date().toISOString().replace("Z", "+00:00");
  const said = { label, ontology_id, reason: verdict.reason ?? null, by: verdict.by ?? null };
  const n_cells = row ? row.n_cells : "n" in about ? about.n : null;
  /** @type {Record<string, any>} */
  const entry = {
    action: verdict.decision,
    at,
    n_cells,
    ...said,
    ontology_label: term ? term.label : null,
    run: index.run,
  };
  if (row && index.noun === "cluster") {
    Object.assign(entry, { hash: row.hash, basis: row.basis, cluster: row.cluster });
  } else {
    // A label is no cluster that an object knows: its cells are named, by their places. What they are
    // known by, the hash of their names, is worked out by who has the names.
    const mask = "cells" in about ? about.cells : await cellsOfRow(about.row);
    Object.assign(entry, { hash: "", cells_at: { mask, of: index.cells?.hash } });
  }
  fileEntries.push(Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null)));
  const cluster = row ? row.cluster : null;
  /** @type {Decision} */
  const made = {
    id: `page-${fileEntries.length}`,
    at,
    cluster,
    n_cells,
    decision: verdict.decision,
    ...said,
    state: "in force",
  };
  const was = verdict.decision === "withdrawn" ? "withdrawn" : "replaced";
  const same = (/** @type {Decision} */ d) =>
    d.state === "in force" && (cluster === null ? d.id === lastOfCells(about) : d.cluster === cluster);
  change({
    decisions: [
      ...state.decisions.map((d) => (same(d) ? { ...d, state: /** @type {Decision["state"]} */ (was) } : d)),
      made,
    ],
  });
}

/** The last decision of this page about the same cells. @param {About} about */
function lastOfCells(about) {
  const mask = "cells" in about ? about.cells : "";
  const place = fileEntries
    .slice(0, -1)
    .findLastIndex((entry) => entry.cells_at && entry.cells_at.mask === mask);
  return place < 0 ? "" : `page-${place + 1}`;
}

/** @param {number} row */
async function cellsOfRow(row) {
  const rows = await rowsOfCells();
  return bitsOf(Uint8Array.from(rows, (code) => Number(code === row)));
}

/** What was in force before the own last decision is again. @param {string | null} by */
async function takeBack(by) {
  const last = ownDecisions.pop();
  if (!last) return say("There is nothing of yours to undo.");
  const { about, before } = last;
  const again = before && before.decision !== "withdrawn";
  const verdict = again
    ? {
        decision: before.decision,
        label: before.label,
        ontology_id: before.ontology_id,
        reason: before.reason,
        by: before.by,
      }
    : { decision: /** @type {const} */ ("withdrawn"), by };
  await put(about, verdict, true);
}

/** Send what was decided; what fails stays and can be sent again. */
async function sendUnsent() {
  const { decisions } = /** @type {NonNullable<Index["live"]>} */ (index.live);
  if (isSending) return;
  isSending = true;
  let problem = "";
  try {
    while (unsent.length) {
      const sent = unsent.slice();
      const body = await (await answerOf(decisions, { decisions: sent })).json();
      unsent.splice(0, sent.length);
      change({ decisions: body.decisions });
    }
  } catch (error) {
    problem = reasonOf(error, NO_ANSWER);
    say(`Not saved: ${problem}`);
  } finally {
    isSending = false;
    setKept({ problem });
  }
}

/** Give up the last decision that was not sent. */
function dropUnsent() {
  unsent.pop();
  setKept({ problem: "" });
}

/** Take over what other pages decided. */
async function askDecisions() {
  if (isSending || unsent.length || document.hidden) return;
  let problem = "";
  try {
    const answer = await answerOf(/** @type {NonNullable<Index["live"]>} */ (index.live).decisions);
    const { decisions } = await answer.json();
    if (isSending || unsent.length) return;
    if (JSON.stringify(decisions) !== JSON.stringify(state.decisions)) change({ decisions });
  } catch (error) {
    problem = reasonOf(error, NO_ANSWER);
  }
  if (problem !== state.kept.problem) setKept({ problem });
}

/** A file that `cellferry.apply_decisions()` reads. */
function decisionsFile() {
  const content = {
    schema: "cellferry.decisions/1",
    key: index.key ?? "cell_type",
    run: index.run,
    decisions: fileEntries,
    ...(state.lists.length ? { lists: state.lists } : {}),
  };
  return new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" });
}

function downloadDecisions() {
  download("decisions.json", decisionsFile());
  setKept({ downloaded: fileEntries.length });
  say("The decisions were downloaded.");
}

/** Tell who waits that the review is finished; true when that was understood. */
async function finishReview() {
  const { base } = /** @type {NonNullable<Index["live"]>} */ (index.live);
  try {
    if (unsent.length) throw new NoData(`${unsent.length} decisions are not saved yet.`);
    await answerOf(`${base}done`, {});
    return true;
  } catch (error) {
    setKept({ problem: reasonOf(error, NO_ANSWER) });
    return false;
  }
}

/** Decisions that hold for nothing any more and may be meant for a row. @param {number} row */
function staleFor(row) {
  const { cluster, attention } = index.rows[row];
  if (isDecided(row)) return [];
  const marked = attention.some(({ code }) => code === "stale");
  return state.decisions.filter(
    (d) => d.state === "stale" && (d.offered ? d.offered.includes(cluster) : marked && d.cluster === cluster),
  );
}

(function startDecisions() {
  addEventListener("beforeunload", (event) => {
    const { made, downloaded } = state.kept;
    if (made > downloaded || unsent.length) event.preventDefault();
  });
  if (!index.live) return;
  setInterval(askDecisions, ASKED_EVERY);
  document.addEventListener("visibilitychange", askDecisions);
})();
