// What a person says about a label: kept in the page and downloaded, or sent to the server at once.

/**
 * @typedef {{decision: Decision["decision"], label?: string | null, ontology_id?: string | null}} Verdict
 * @typedef {{row: number} | {cells: string, n: number}} About a row of the table, or chosen cells
 */

const UNKNOWN_LABEL = "Unknown";
const LONGEST_LABEL = 200;
const LONGEST_REASON = 10000;
/** Characters that change how text is shown; a file with one is refused when it is applied. */
const NO_TEXT = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u;
const ASKED_EVERY = 1500;

/** What a file of decisions has of each that was made here. @type {Record<string, any>[]} */
const fileEntries = [];
let nDownloaded = 0;
/**
 * Own decisions, the last at the end: what they were about, and what was in force before.
 * @type {{about: About, before: Decision | null}[]}
 */
const ownDecisions = [];
/** Sent, and not answered yet. @type {Wish[]} */
const unsent = [];
let sendError = "";
let isSending = false;
/** Whether the buttons are about the chosen cells rather than the row. */
let aboutCells = false;

/**
 * Why text cannot be kept; empty where it can.
 * @param {string} text
 * @param {string} what
 * @param {number} longest
 */
function textProblem(text, what, longest) {
  if (text.length > longest)
    return `The ${what} has ${whole(text.length)} characters; at most ${whole(longest)} are kept.`;
  if (NO_TEXT.test(text)) return `The ${what} has a character that is not text. Type it again without it.`;
  return "";
}

/** @param {string} text */
const spacesJoined = (text) => text.trim().split(/\s+/).join(" ");

/** The term of the Cell Ontology that a text names, by label or synonym. @param {string} text */
async function termNamed(text) {
  const wanted = spacesJoined(text).toLowerCase();
  const all = await terms().catch(() => []);
  const found =
    all.find((t) => t.label.toLowerCase() === wanted || t.id.toLowerCase() === wanted) ||
    all.find((t) => t.synonyms.some((synonym) => synonym.toLowerCase() === wanted));
  return found ?? null;
}

/**
 * Terms that a text may mean.
 * @param {string} text
 * @returns {Promise<{value: string, note: string, id: string}[]>}
 */
async function termsLike(text) {
  const wanted = spacesJoined(text).toLowerCase();
  if (wanted.length < 2) return [];
  const found = [];
  for (const { id, label, synonyms } of await terms()) {
    const place = label.toLowerCase().indexOf(wanted);
    const synonym = place < 0 ? synonyms.find((s) => s.toLowerCase().includes(wanted)) : undefined;
    if (place < 0 && synonym === undefined && !id.toLowerCase().startsWith(wanted)) continue;
    const rank = place === 0 ? 0 : place > 0 ? 2 : synonym?.toLowerCase().startsWith(wanted) ? 1 : 3;
    found.push({ value: label, note: synonym ? `${id}, ${synonym}` : id, id, rank });
  }
  return found.sort((a, b) => a.rank - b.rank || a.value.length - b.value.length).slice(0, MOST_SUGGESTED);
}

/** @param {Record<string, any>} attributes */
const decideInput = (attributes) =>
  /** @type {HTMLInputElement} */ (element("input", { type: "text", autocomplete: "off", ...attributes }));

const typeBox = decideInput({ id: "type-box", placeholder: "name, synonym, CL id or own words" });
const reasonBox = decideInput({ id: "reason-box", placeholder: "optional" });
const initialsBox = decideInput({ id: "initials-box", size: 6, placeholder: "optional" });
const typeNote = element("small", { class: "muted", id: "type-note" });
const decideError = element("p", { class: "error", role: "alert", hidden: true });
const inForceLine = element("p", { class: "in-force" });
const aboutChoice = element("div", {
  class: "controls",
  role: "radiogroup",
  "aria-label": "What is decided about",
});
const acceptButton = decideButton("Accept", "a", { decision: "accepted" });
const undoButton = element(
  "button",
  { type: "button", onclick: () => undoOwn() },
  "Undo ",
  element("kbd", {}, "z"),
);
const offeredLabels = element("ul", { class: "choices", "aria-label": "Other labels" });

/** @param {string} text @param {string} key @param {Verdict} verdict */
function decideButton(text, key, verdict) {
  const hint = key ? element("kbd", {}, key) : null;
  return element("button", { type: "button", onclick: () => decide(verdict) }, text, hint ? " " : null, hint);
}

/** The part of the card that one decides with; it is moved from card to card with what was typed. */
const decidePanel = element(
  "section",
  { class: "decide", "aria-labelledby": "decide-title" },
  element("h3", { id: "decide-title" }, "Decide"),
  inForceLine,
  aboutChoice,
  element(
    "div",
    { class: "verdicts" },
    acceptButton,
    decideButton("Unknown", "u", { decision: "unknown" }),
    decideButton("Needs work", "w", { decision: "needs_work" }),
    decideButton("Doublets", "", { decision: "relabelled", label: "Doublet" }),
    decideButton("Low quality", "", { decision: "relabelled", label: "Low quality" }),
    undoButton,
  ),
  offeredLabels,
  element(
    "div",
    { class: "fields" },
    element("label", { for: "type-box" }, "Another type ", element("kbd", {}, "r")),
    element(
      "span",
      { class: "with-button" },
      completing(typeBox, termsLike, (chosen, text) => decideType(chosen, text)),
      element("button", { type: "button", onclick: () => decideType(null, typeBox.value) }, "Set"),
    ),
    typeNote,
    element("label", { for: "reason-box" }, "Reason"),
    reasonBox,
    element("label", { for: "initials-box" }, "Initials"),
    initialsBox,
  ),
  decideError,
);

/** @param {string} text */
function showProblem(text) {
  decideError.textContent = text;
  decideError.hidden = !text;
}

/** Whether the buttons may be used, and why not. */
function whyNotDecide() {
  if (index.live && !index.live.writable) return "This page is for reading only.";
  const ofCells = aboutCells || (index.noun === "label" && !index.live);
  if (ofCells && !(index.cells && index.cells.all && index.cells.hash)) {
    return (
      "This page does not have every cell, and cannot say which are meant. " +
      "Decide on the page that cellferry.review() opens."
    );
  }
  return "";
}

/** One after the other: an earlier decision may still wait for the names of the terms. */
let decisionsBefore = Promise.resolve();

/** @param {() => Promise<void>} task */
function inTurn(task) {
  decisionsBefore = decisionsBefore.then(task).catch((error) => showProblem(error.message));
  return decisionsBefore;
}

/** What the buttons are about; null where nothing is chosen. @returns {About | null} */
function aboutNow() {
  if (aboutCells && state.chosen) return { cells: bitsOf(state.chosen), n: cellsIn(state.chosen) };
  return state.row === null ? null : { row: state.row };
}

/** @param {Uint8Array} mask */
const cellsIn = (mask) => mask.reduce((sum, one) => sum + one, 0);

/** @param {string} text a type in a person's words @param {{id: string, value: string} | null} chosen */
async function decideType(chosen, text) {
  const label = spacesJoined(chosen ? chosen.value : text);
  if (!label) return showProblem("Type what it is.");
  const term = chosen || (await termNamed(label));
  const byId = term && /^cl:\d+$/i.test(label) && "label" in term ? term.label : label;
  await decide({ decision: "relabelled", label: byId, ontology_id: term ? term.id : null });
  if (!decideError.hidden) return;
  typeBox.value = "";
  typeNote.textContent = "";
  if (!term) say(`${label} is no term of the Cell Ontology, and is kept as free text.`);
}

/** @param {"accepted" | "unknown" | "needs_work"} decision */
function decideByKey(decision) {
  if (state.row === null && !aboutCells) return say(`Choose a ${index.noun} first.`);
  decide({ decision });
}

function focusType() {
  if (state.row === null && !aboutCells) return say(`Choose a ${index.noun} first.`);
  typeBox.scrollIntoView({ block: "center" });
  typeBox.focus({ preventScroll: true });
}

/** Decide about what is chosen. @param {Verdict} verdict */
async function decide(verdict) {
  showProblem("");
  const about = aboutNow();
  const [reason, by] = [reasonBox.value.trim(), spacesJoined(initialsBox.value)];
  const problem =
    whyNotDecide() ||
    (verdict.label && textProblem(verdict.label, "label", LONGEST_LABEL)) ||
    textProblem(reason, "reason", LONGEST_REASON) ||
    textProblem(by, "initials", LONGEST_LABEL);
  if (problem || !about) return showProblem(problem || "Nothing is chosen.");
  const whole_verdict = "row" in about ? ofEngine(verdict, about.row) : verdict;
  if (!whole_verdict) return showProblem("The engine gave no label that could be accepted.");
  if ("cells" in about && whole_verdict.decision === "accepted")
    return showProblem("Chosen cells get a label: give them a type.");
  await inTurn(async () => {
    await put(about, { ...whole_verdict, reason: reason || null, by: by || null });
    reasonBox.value = "";
  });
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
  fillDecide();
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

/** Take the own last decision back: what was in force before is again. */
function undoOwn() {
  showProblem("");
  return inTurn(takeBack);
}

async function takeBack() {
  const last = ownDecisions.pop();
  if (!last) return say("There is nothing of yours to undo.");
  const by = spacesJoined(initialsBox.value) || null;
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
  [isSending, sendError] = [true, ""];
  try {
    while (unsent.length) {
      const sent = unsent.slice();
      const answer = await fetch(decisions, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ decisions: sent }),
      });
      if (!answer.ok) throw new NoData(await saidBy(answer));
      const body = await answer.json();
      unsent.splice(0, sent.length);
      change({ decisions: body.decisions });
    }
  } catch (error) {
    sendError = error instanceof NoData ? error.message : "The server does not answer.";
    say(`Not saved: ${sendError}`);
  } finally {
    isSending = false;
    fillProgress();
  }
}

/** Take over what other pages decided. */
async function askDecisions() {
  if (isSending || unsent.length || document.hidden) return;
  try {
    const answer = await fetch(/** @type {NonNullable<Index["live"]>} */ (index.live).decisions, {
      cache: "no-store",
    });
    if (!answer.ok) throw new NoData(await saidBy(answer));
    const { decisions } = await answer.json();
    if (isSending || unsent.length) return;
    const recovered = sendError !== "";
    sendError = "";
    if (JSON.stringify(decisions) !== JSON.stringify(state.decisions)) change({ decisions });
    else if (recovered) fillProgress();
  } catch (error) {
    sendError = error instanceof NoData ? error.message : "The server does not answer.";
    fillProgress();
  }
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
  nDownloaded = fileEntries.length;
  say("The decisions were downloaded.");
  fillProgress();
}

const progressLine = element("div", { id: "progress" });

/** How far the work is, and what is not safe yet. */
function fillProgress() {
  const decided = index.rows.filter((_, row) => isDecided(row)).length;
  const open = fileEntries.length - nDownloaded;
  const parts = [element("span", { class: "decided-count" }, `${decided} of ${index.rows.length} decided`)];
  if (open > 0) parts.push(element("strong", {}, `${open} not downloaded`));
  if (fileEntries.length)
    parts.push(
      element(
        "button",
        { type: "button", class: open > 0 ? "primary" : "", onclick: downloadDecisions },
        "Download decisions",
      ),
    );
  if (sendError) {
    const words = unsent.length ? `${unsent.length} not saved. ${sendError}` : sendError;
    parts.push(element("span", { class: "error", role: "alert" }, words));
    if (unsent.length)
      parts.push(element("button", { type: "button", class: "primary", onclick: sendUnsent }, "Try again"));
    if (unsent.length)
      parts.push(
        element(
          "button",
          {
            type: "button",
            onclick: () => {
              unsent.pop();
              sendError = "";
              fillProgress();
            },
          },
          "Drop the last",
        ),
      );
  }
  if (index.live?.done)
    parts.push(element("button", { type: "button", class: "done", onclick: finishReview }, "Done"));
  progressLine.replaceChildren(...parts);
}

/** Tell who waits that the review is finished. */
async function finishReview() {
  const { base } = /** @type {NonNullable<Index["live"]>} */ (index.live);
  try {
    if (unsent.length) throw new NoData(`${unsent.length} decisions are not saved yet.`);
    const answer = await fetch(`${base}done`, { method: "POST" });
    if (!answer.ok) throw new NoData(await saidBy(answer));
    progressLine.append(element("span", {}, "Finished: this page can be closed."));
    say("Finished: this page can be closed.");
  } catch (error) {
    sendError = error instanceof NoData ? error.message : "The server does not answer.";
    fillProgress();
  }
}

/** Show what is in force for what is chosen, and what can be said of it. */
function fillDecide() {
  fillAbout();
  const problem = whyNotDecide();
  for (const button of decidePanel.querySelectorAll("button")) button.disabled = Boolean(problem);
  undoButton.disabled = !ownDecisions.length;
  acceptButton.disabled ||= aboutCells || state.row === null || engineOf(state.row).label === null;
  showProblem(problem);
  if (aboutCells || state.row === null) {
    inForceLine.replaceChildren("Cells that were chosen on the map or by the filters.");
    return offeredLabels.replaceChildren();
  }
  const { label, decision } = inForce(state.row);
  const by = [decision?.by && `by ${decision.by}`, decision && decision.at.slice(0, 10)]
    .filter(Boolean)
    .join(", ");
  const free =
    decision?.decision === "relabelled" && !decision.ontology_id
      ? element("small", { class: "free" }, "free text")
      : "";
  inForceLine.replaceChildren(
    "In force: ",
    element("strong", {}, label ?? "no label"),
    " ",
    free,
    " ",
    element(
      "span",
      { class: "muted" },
      decision
        ? `${decision.decision === "unknown" ? "decided" : decisionWords(decision.decision)} ${by}`
        : "of the engine, not decided",
    ),
    " ",
    decision?.reason ? element("q", {}, decision.reason) : "",
    " ",
    engineWords(state.row) ?? "",
  );
  fillOffered(state.row, Boolean(problem));
}

/**
 * Alternatives with one click each, and what was decided about it earlier.
 * @param {number} row
 * @param {boolean} disabled
 */
function fillOffered(row, disabled) {
  const { alternatives } = index.rows[row];
  const use = alternatives.map((label) =>
    element(
      "li",
      {},
      element("span", {}, label),
      element(
        "button",
        {
          type: "button",
          disabled,
          "aria-label": `use this: ${label}`,
          onclick: async () =>
            decide({ decision: "relabelled", label, ontology_id: (await termNamed(label))?.id ?? null }),
        },
        "use this",
      ),
    ),
  );
  const stale = staleFor(row).map((d) =>
    element(
      "li",
      {},
      element("span", {}, `earlier: ${d.label ?? decisionWords(d.decision)}`, d.by ? ` (${d.by})` : ""),
      takeOverButton(d, row, disabled),
    ),
  );
  offeredLabels.replaceChildren(...stale, ...use);
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

/** @param {Decision} stale @param {number} row @param {boolean} disabled */
function takeOverButton(stale, row, disabled) {
  const { decision, label, ontology_id, reason } = stale;
  const verdict = /** @type {Verdict} */ (
    decision === "accepted"
      ? { decision: "relabelled", label, ontology_id }
      : { decision, label, ontology_id }
  );
  const take = async () => {
    showProblem("");
    const whole_verdict = ofEngine(verdict, row);
    if (!whole_verdict) return;
    await inTurn(() =>
      put({ row }, { ...whole_verdict, reason, by: spacesJoined(initialsBox.value) || stale.by }),
    );
  };
  return element(
    "button",
    { type: "button", disabled, "aria-label": `take over for ${rowName(row)}`, onclick: take },
    "take over",
  );
}

/** The row or the chosen cells, where both are there. */
function fillAbout() {
  const { chosen, row } = state;
  aboutChoice.hidden = !chosen || row === null;
  if (!chosen || row === null) return aboutChoice.replaceChildren();
  const choice = (/** @type {boolean} */ cells, /** @type {string} */ text) =>
    element(
      "label",
      { class: "check" },
      element("input", {
        type: "radio",
        name: "about",
        checked: cells === aboutCells,
        onchange: () => {
          aboutCells = cells;
          fillDecide();
        },
      }),
      ` ${text}`,
    );
  aboutChoice.replaceChildren(
    choice(false, rowName(row)),
    choice(true, `${whole(cellsIn(chosen))} chosen cells`),
  );
}

/** @param {Decision} d */
function historyLine(d) {
  const what = d.cluster === null ? `${whole(d.n_cells ?? 0)} cells` : d.cluster;
  const row = index.rows.findIndex((r) => r.cluster === d.cluster);
  const free =
    d.decision === "relabelled" && !d.ontology_id ? element("small", { class: "free" }, " free text") : "";
  const offered =
    d.state !== "stale"
      ? []
      : index.rows.flatMap((_, i) =>
          staleFor(i).includes(d) ? [takeOverButton(d, i, Boolean(whyNotDecide()))] : [],
        );
  const link =
    row < 0 || d.state === "stale"
      ? what
      : element(
          "button",
          {
            type: "button",
            class: "link",
            onclick: () => {
              chooseRow(row);
              openCard();
            },
          },
          what,
        );
  const cells = [
    d.at.slice(0, 16).replace("T", " "),
    link,
    decisionWords(d.decision),
    element("span", {}, d.label ?? "–", free),
    d.by ?? "–",
    d.reason ?? "–",
  ];
  const state_of = element("span", { class: `state ${d.state.replace(" ", "-")}` }, d.state);
  return element(
    "tr",
    {},
    ...cells.map((cell) => element("td", {}, cell)),
    element("td", {}, state_of, " ", ...offered),
  );
}

const historyTable = element("div", {
  class: "wide",
  tabindex: 0,
  role: "region",
  "aria-label": "History of decisions",
});

function fillHistory() {
  const names = [
    "When (UTC)",
    index.noun === "label" ? "Label" : "Cluster",
    "Decision",
    "Now",
    "By",
    "Reason",
    "State",
  ];
  if (!state.decisions.length)
    return historyTable.replaceChildren(element("p", { class: "muted" }, "Nothing was decided yet."));
  const lines = state.decisions.map(historyLine).reverse();
  historyTable.replaceChildren(
    element(
      "table",
      { class: "history" },
      element("caption", {}, "The newest first; all stay."),
      element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...lines),
    ),
  );
}

function historyFile() {
  const names = ["at", "cluster", "n_cells", "decision", "label", "ontology_id", "by", "reason", "state"];
  const lines = state.decisions.map((d) => [
    d.at,
    d.cluster,
    d.n_cells,
    d.decision,
    d.label,
    d.ontology_id,
    d.by,
    d.reason,
    d.state,
  ]);
  return csvOf([names, ...lines]);
}

/** How decisions get from this page into the object. */
function howApplied() {
  if (index.live) return "Decisions are saved at once, beside the object.";
  const line = element("code", {}, 'cellferry.apply_decisions(adata, "decisions.json")');
  const r = element("code", {}, 'object <- ApplyDecisions(object, "decisions.json")');
  return element(
    "span",
    {},
    "Decisions stay in this page until they are downloaded. Then: ",
    line,
    " or ",
    r,
    ".",
  );
}

(function startDecide() {
  const section = /** @type {HTMLElement} */ (document.getElementById("decisions"));
  const csv = element(
    "button",
    { type: "button", onclick: () => download("decisions.csv", historyFile()) },
    "CSV",
  );
  section.append(
    element("p", { class: "note muted" }, howApplied()),
    historyTable,
    element("div", { class: "controls" }, csv),
  );
  section.hidden = false;
  /** @type {HTMLElement} */ (document.getElementById("tools")).after(progressLine);
  typeBox.addEventListener("input", async () => {
    const typed = typeBox.value;
    const term = typed.trim() ? await termNamed(typed) : null;
    if (typed === typeBox.value)
      typeNote.textContent = !typed.trim()
        ? ""
        : term
          ? `${term.label}, ${term.id}`
          : "free text, unless one is chosen";
  });
  on(["decisions"], () => {
    fillProgress();
    fillHistory();
  });
  // What was chosen last is what the buttons and the keys are about.
  on(["row"], () => (aboutCells = state.row === null && state.chosen !== null));
  on(["chosen"], () => (aboutCells = state.chosen !== null));
  on(["row", "chosen", "decisions"], fillDecide);
  fillProgress();
  fillHistory();
  addEventListener("beforeunload", (event) => {
    if (fileEntries.length > nDownloaded || unsent.length) event.preventDefault();
  });
  if (!index.live) return;
  setInterval(askDecisions, ASKED_EVERY);
  document.addEventListener("visibilitychange", askDecisions);
})();
