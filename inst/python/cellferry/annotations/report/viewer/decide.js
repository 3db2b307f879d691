// Where a person says what a row is, or what chosen cells are.

const LONGEST_LABEL = 200;
const LONGEST_REASON = 10000;
/** Characters that change how text is shown; a file with one is refused when it is applied. */
const NO_TEXT = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u;
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
  if (index.live && !index.live.cells && (aboutCells || index.noun === "label")) {
    return "Decisions about chosen cells are not kept for a job; choose a cluster.";
  }
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

/** Take the own last decision back: what was in force before is again. */
function undoOwn() {
  showProblem("");
  return inTurn(() => takeBack(spacesJoined(initialsBox.value) || null));
}

const progressLine = element("div", { id: "progress" });

/** How far the work is, and what is not safe yet. */
function fillProgress() {
  const { made, downloaded, unsent: waiting, problem } = state.kept;
  const decided = index.rows.filter((_, row) => isDecided(row)).length;
  const open = made - downloaded;
  const button = (
    /** @type {string} */ text,
    /** @type {() => void} */ call,
    /** @type {string} */ look = "",
  ) => element("button", { type: "button", class: look, onclick: call }, text);
  const parts = [element("span", { class: "decided-count" }, `${decided} of ${index.rows.length} decided`)];
  if (open > 0) parts.push(element("strong", {}, `${open} not downloaded`));
  if (made) parts.push(button("Download decisions", downloadDecisions, open > 0 ? "primary" : ""));
  if (problem) {
    const words = waiting ? `${waiting} not saved. ${problem}` : problem;
    parts.push(element("span", { class: "error", role: "alert" }, words));
    if (waiting) parts.push(button("Try again", sendUnsent, "primary"), button("Drop the last", dropUnsent));
  }
  if (index.live?.done) parts.push(button("Done", sayFinished, "done"));
  progressLine.replaceChildren(...parts);
}

async function sayFinished() {
  if (!(await finishReview())) return;
  progressLine.append(element("span", {}, "Finished: this page can be closed."));
  say("Finished: this page can be closed.");
}

/** Show what is in force for what is chosen, and what can be said of it. */
function fillDecide() {
  fillAbout();
  const problem = whyNotDecide();
  for (const button of decidePanel.querySelectorAll("button")) button.disabled = Boolean(problem);
  undoButton.disabled = !state.kept.own;
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

(function startDecide() {
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
  on(["decisions", "kept"], fillProgress);
  // What was chosen last is what the buttons and the keys are about.
  on(["row"], () => (aboutCells = state.row === null && state.chosen !== null));
  on(["chosen"], () => (aboutCells = state.chosen !== null));
  on(["row", "chosen", "decisions"], fillDecide);
  on(["kept"], () => (undoButton.disabled = !state.kept.own));
  fillProgress();
})();
