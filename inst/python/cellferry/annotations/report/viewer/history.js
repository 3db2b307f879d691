// All that was decided, the newest first.

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

const historyTable = wideRegion("History of decisions");

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
      tableHead(names),
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

(function startHistory() {
  const section = /** @type {HTMLElement} */ (document.getElementById("decisions"));
  const csv = fileButton("CSV", "the history", () => download("decisions.csv", historyFile()));
  section.append(
    element("p", { class: "note muted" }, howApplied()),
    historyTable,
    element("div", { class: "controls" }, csv),
  );
  section.hidden = false;
  on(["decisions"], fillHistory);
  fillHistory();
})();
