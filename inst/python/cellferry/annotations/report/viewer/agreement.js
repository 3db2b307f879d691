// Labels of another column beside those of the rows: how each pair stands in the Cell Ontology.

/**
 * @typedef {{row: number, n: number, other: string | null, share: number, relation: string,
 *   agreeing: number | null, look: string, counts: Uint32Array}} AgreementRow
 * @typedef {{name: string, levels: string[], rows: AgreementRow[], used: number[], shares: Map<string, number>,
 *   rand: number | null, n: number}} Agreement `used`: places of the labels that some cell has
 */

/** What the relation of a row's label to another one is called. */
const RELATION_WORDS = /** @type {Record<string, string>} */ ({
  exact: "the same",
  descendant: "narrower",
  ancestor: "broader",
  sibling: "a sibling",
  other_lineage: "another type",
  no_term: "no term",
  none: "no label",
  decided: "decided here",
});
const AGREEING = ["exact", "descendant", "ancestor"];
const WANTS_A_LOOK = ["sibling", "other_lineage", "no_term"];

const agreement = {
  turn: 0,
  column: -1,
  /** @type {Agreement | null} */ now: null,
  picture: /** @type {any} */ (null),
  note: /** @type {any} */ (null),
  table: /** @type {any} */ (null),
};

/** The columns with labels of cells, by their places. */
const labelColumns = () => (index.relations ? Object.keys(index.relations.columns).map(Number) : []);

/** @param {HTMLElement} section */
function startAgreement(section) {
  const columns = labelColumns();
  if (!columns.length) return;
  const names = columnsOfCells();
  agreement.column = columns.find((i) => !names[i].own) ?? columns[0];
  const of = element(
    "select",
    {
      id: "agreement-with",
      onchange: () => {
        agreement.column = Number(of.value);
        agree();
      },
    },
    ...columns.map((i) => element("option", { value: i }, names[i].name)),
  );
  of.value = String(agreement.column);
  agreement.picture = element("div", { id: "agreement-picture" });
  agreement.note = element("p", { class: "note muted", id: "agreement-note", role: "status" });
  agreement.table = wideRegion("Labels beside other labels, as a table");
  section.append(
    element("h3", {}, "Beside other labels"),
    element(
      "div",
      { class: "filter-bar" },
      element("label", { class: "map-choice" }, "Compared with ", of),
    ),
    agreement.note,
    agreement.table,
    agreement.picture,
  );
  on(["shown", "chosen", "decisions"], agree);
  agree();
}

/**
 * How a row stands to a label of the column; a label that was decided on this page is not compared.
 * @param {number} row
 * @param {number} level
 */
function relationTo(row, level) {
  const { names, columns } = /** @type {NonNullable<Index["relations"]>} */ (index.relations);
  if (labelOf(row) !== index.rows[row].label) return "decided";
  return names[Number(columns[agreement.column][row][level])];
}

/** Count the cells that pass, and are chosen, of each row and other label. */
async function agree() {
  const turn = ++agreement.turn;
  let rows, codes;
  try {
    [rows, { codes }] = await Promise.all([rowsOfCells(), columnOf(agreement.column)]);
  } catch (error) {
    agreement.note.textContent = reasonOf(error, "The column cannot be read.");
    return;
  }
  if (turn !== agreement.turn || !codes) return;
  const { name, levels } = columnsOfCells()[agreement.column];
  const width = levels.length + 1,
    counts = new Uint32Array((index.rows.length + 1) * width);
  const { shown, chosen } = state;
  for (let i = 0; i < codes.length; i++) {
    if ((shown && !shown[i]) || (chosen && !chosen[i])) continue;
    counts[Math.min(rows[i], index.rows.length) * width + Math.min(codes[i], levels.length)] += 1;
  }
  const found = index.rows.map((_, row) =>
    agreementOf(row, levels, counts.subarray(row * width, row * width + levels.length)),
  );
  const totals = levels.map((_, level) => found.reduce((sum, { counts: c }) => sum + c[level], 0));
  agreement.now = {
    name,
    levels,
    rows: found,
    used: orderOfLevels(found, totals),
    ...sharesOf(found),
    rand: adjustedRand(found.map(({ counts: c }) => c)),
  };
  showAgreement();
}

/** @param {number} row @param {string[]} levels @param {Uint32Array} counts @returns {AgreementRow} */
function agreementOf(row, levels, counts) {
  const { mostly } = /** @type {NonNullable<Index["relations"]>} */ (index.relations);
  let n = 0,
    compared = 0,
    agreeing = 0,
    best = -1;
  counts.forEach((count, level) => {
    if (!count) return;
    const relation = relationTo(row, level);
    // What says "unknown" there is no label.
    if (relation === "none" && labelOf(row) !== null) return;
    n += count;
    if (best < 0 || count > counts[best]) best = level;
    if (relation === "none" || relation === "decided") return;
    compared += count;
    if (AGREEING.includes(relation)) agreeing += count;
  });
  const relation = best < 0 ? "none" : relationTo(row, best);
  const part = compared ? agreeing / compared : null;
  const look = WANTS_A_LOOK.includes(relation) ? relation : part !== null && part < mostly ? "mixed" : "";
  return {
    row,
    n,
    other: best < 0 ? null : levels[best],
    share: best < 0 ? 0 : counts[best] / n,
    relation,
    agreeing: part,
    look,
    counts,
  };
}

/** The labels that occur, so that those of one row stand together. @param {AgreementRow[]} rows @param {number[]} totals */
function orderOfLevels(rows, totals) {
  const first = totals.map((total, level) => {
    const best = rows.reduce((a, { counts }, i) => (counts[level] > rows[a].counts[level] ? i : a), 0);
    return { level, total, best };
  });
  return first
    .filter(({ total }) => total > 0)
    .sort((a, b) => a.best - b.best || b.total - a.total)
    .map(({ level }) => level);
}

/** Share of the compared cells in each relation. @param {AgreementRow[]} rows */
function sharesOf(rows) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  let n = 0;
  for (const { row, counts } of rows)
    counts.forEach((count, level) => {
      const relation = count ? relationTo(row, level) : "none";
      if (relation === "none" || relation === "decided") return;
      sums.set(relation, (sums.get(relation) ?? 0) + count);
      n += count;
    });
  return { n, shares: new Map([...sums].map(([relation, count]) => [relation, count / n])) };
}

/** Agreement of two partitions beyond chance, by Hubert and Arabie (1985). @param {Uint32Array[]} table */
function adjustedRand(table) {
  const pairs = (/** @type {number} */ n) => (n * (n - 1)) / 2;
  const sum = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0);
  /** @type {Map<string, number[]>} rows with one label are one part */
  const parts = new Map();
  table.forEach((counts, row) => {
    const label = labelOf(row);
    if (label === null) return;
    const part = parts.get(label) ?? Array.from(counts, () => 0);
    counts.forEach((count, level) => (part[level] += count));
    parts.set(label, part);
  });
  const all = [...parts.values()];
  const rows = all.map(sum),
    columns = (all[0] || []).map((_, level) => sum(all.map((part) => part[level])));
  const total = pairs(sum(rows));
  if (!total) return null;
  const both = sum(all.flat().map(pairs)),
    one = sum(rows.map(pairs)),
    other = sum(columns.map(pairs));
  const expected = (one * other) / total,
    most = (one + other) / 2;
  return most === expected ? 1 : (both - expected) / (most - expected);
}

function showAgreement() {
  const of = agreement.now;
  if (!of) return;
  agreement.note.textContent = noteOnAgreement(of);
  agreement.picture.replaceChildren(pictureElement(agreementScene(of)));
  agreement.table.replaceChildren(agreementTable(of));
}

/** @param {Agreement} of */
function noteOnAgreement(of) {
  const shares = Object.keys(RELATION_WORDS)
    .filter((relation) => of.shares.has(relation))
    .map((relation) => `${RELATION_WORDS[relation]} ${percent(of.shares.get(relation) ?? 0)}`);
  const looks = of.rows.filter(({ look }) => look).length;
  const drawn = index.cells?.all ? "" : "drawn ";
  const parts = [
    `Of ${whole(of.n)} ${drawn}cells with both labels: ${shares.join(", ") || "none"}.`,
    of.rand === null ? "" : `Adjusted Rand index ${of.rand.toFixed(2)}.`,
    looks ? `${counted(looks, index.noun)} want${looks === 1 ? "s" : ""} a look.` : "",
    of.rows.some(({ relation }) => relation === "decided")
      ? "Labels that were decided here are compared once the page is made again."
      : "",
  ];
  return parts.filter(Boolean).join(" ");
}

/** @param {Agreement} of */
function agreementTable(of) {
  const asked = (/** @type {AgreementRow} */ { look }) => (look ? 1 : 0);
  const ordered = [...of.rows].sort((a, b) => asked(b) - asked(a) || a.row - b.row);
  const rows = ordered.map(({ row, n, other, share, relation, agreeing, look }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, rowTitle(row)),
      element("td", {}, whole(n)),
      element("td", { class: "words" }, other === null ? "–" : `${other} (${percent(share)})`),
      element("td", { class: "words" }, RELATION_WORDS[relation]),
      element("td", {}, agreeing === null ? "–" : percent(agreeing)),
      element("td", { class: "words" }, look ? "yes" : ""),
    ),
  );
  return element(
    "table",
    { class: "figures composed agreement" },
    tableHead([index.noun, "cells", `mostly, in ${of.name}`, "its label here is", "cells that agree", "look"]),
    element("tbody", {}, ...rows),
  );
}

const AGREEMENT_STEP = 24;
const AGREEMENT_NAME = 150;

/**
 * Shares of each row in each other label; a line round those that do not agree.
 * @param {Agreement} of
 * @returns {Scene}
 */
function agreementScene(of) {
  const rows = of.rows.filter(({ n }) => n > 0),
    left = titleRoom() + 16,
    step = AGREEMENT_STEP;
  const names = of.used.map((level) => fittingText(of.levels[level], AGREEMENT_NAME));
  const longest = Math.max(40, ...names.map((name) => textWidth(name)));
  const lean = (-TURN * Math.PI) / 180,
    top = longest * Math.sin(lean) + 24;
  /** @type {Shape[]} */
  const shapes = of.used.map((level, k) => ({
    kind: "text",
    x: left + (k + 0.5) * step,
    y: top - 10,
    text: names[k],
    turn: TURN,
    title: of.levels[level],
  }));
  rows.forEach((found, i) => {
    shapes.push({
      kind: "text",
      x: left - 8,
      y: top + (i + 0.5) * step,
      text: fittingText(rowTitle(found.row), left - 16),
      anchor: "end",
      title: rowTitle(found.row),
    });
    of.used.forEach((level, k) => {
      if (found.counts[level])
        shapes.push(agreementShape(of, found, level, left + k * step + 1, top + i * step + 1));
    });
  });
  const looks = `Colour is the share of a ${index.noun}'s cells; a line is round labels that do not agree.`;
  return {
    name: `labels_beside_${of.name}`,
    title: `Labels beside ${of.name}`,
    text: looks,
    width: left + of.used.length * step + longest * Math.cos(lean) + 8,
    height: top + rows.length * step + 8,
    shapes,
    table: agreementFigures(of, rows),
  };
}

/**
 * @param {Agreement} of
 * @param {AgreementRow} found
 * @param {number} level
 * @param {number} x
 * @param {number} y
 * @returns {Shape}
 */
function agreementShape(of, { row, n, counts }, level, x, y) {
  const share = counts[level] / Math.max(n, counts[level]),
    relation = relationTo(row, level),
    side = AGREEMENT_STEP - 3;
  const what = `${rowName(row)}, ${of.levels[level]}`;
  return {
    kind: "path",
    points: [
      [x, y],
      [x + side, y],
      [x + side, y + side],
      [x, y + side],
    ],
    closed: true,
    fill: share,
    stroke: WANTS_A_LOOK.includes(relation) ? "failed" : undefined,
    title: `${what}: ${counted(counts[level], "cell")} (${percent(share)}), ${RELATION_WORDS[relation]}`,
  };
}

/** @param {Agreement} of @param {AgreementRow[]} rows @returns {Table} */
function agreementFigures(of, rows) {
  const lines = rows.flatMap(({ row, n, counts }) =>
    of.used
      .filter((level) => counts[level] > 0)
      .map((level) => [
        index.rows[row].cluster,
        labelOf(row),
        of.levels[level],
        counts[level],
        Number((counts[level] / Math.max(n, counts[level])).toPrecision(6)),
        relationTo(row, level),
      ]),
  );
  return [[index.noun, "label", of.name, "n_cells", "share", "relation"], ...lines];
}
