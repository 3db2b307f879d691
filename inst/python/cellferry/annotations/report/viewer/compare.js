// Two rows, or chosen cells and the rest: genes by fold change and by difference of share.

/**
 * @typedef {number | "chosen" | "rest"} Side a row, the chosen cells, or all other cells
 * @typedef {{gene: string, lfc: number, here: number, elsewhere: number, p?: number | null,
 *   p_adj?: number | null}} Difference
 * @typedef {{of: string, a: string, b: string, n_a: number | null, n_b: number | null, genes: Difference[],
 *   note: string, tested: boolean}} Comparison
 */

/** Added to means before their ratio is taken, as Seurat did it: on the scale of counts. */
const PSEUDOCOUNT = 1;
/** Share of the cells of either side that a gene must have, as Seurat's `min.pct`. */
const LEAST_SHARE = 0.1;
const COMPARED_SHOWN = 15;

/** @type {{a: Side, b: Side}} */
const compared = { a: 0, b: "rest" };
/** @type {"lfc" | "share" | "p"} */
let comparedBy = "lfc";
/** @type {Comparison | null} */
let comparison = null;
let comparisons = 0;

/**
 * @type {{a: HTMLSelectElement, b: HTMLSelectElement, result: HTMLElement,
 *   test: HTMLButtonElement | null} | null}
 */
let comparePanel = null;

/** @param {number} mean @param {number} other */
const foldChange = (mean, other) => Math.log2((mean + PSEUDOCOUNT) / (other + PSEUDOCOUNT));

/** @param {Side} side */
function sideTitle(side) {
  if (side === "rest") return "all other cells";
  return side === "chosen" ? "the chosen cells" : rowTitle(side);
}

/**
 * Mean and share of every gene in a row or in all others, from the summary.
 * @param {Side} side
 * @param {Side} not
 */
async function figuresOfSide(side, not) {
  const { share, mean } = await summaryOfGenes();
  const { sizes } = /** @type {NonNullable<Index["genes"]>} */ (index.genes);
  const rows = typeof side === "number" ? [side] : sizes.flatMap((_, row) => (row === not ? [] : [row]));
  const n = rows.reduce((sum, row) => sum + sizes[row], 0);
  const over = (/** @type {(gene: number, row: number) => number} */ of) => (/** @type {number} */ gene) =>
    rows.reduce((sum, row) => sum + sizes[row] * of(gene, row), 0) / Math.max(n, 1);
  return { n, share: over(share), mean: over(mean) };
}

/** @param {Side} a @param {Side} b @returns {Promise<Comparison>} */
async function compareRows(a, b) {
  const [names, one, other] = await Promise.all([geneNames(), figuresOfSide(a, b), figuresOfSide(b, a)]);
  const genes = names.map((gene, i) => ({
    gene,
    lfc: foldChange(one.mean(i), other.mean(i)),
    here: one.share(i),
    elsewhere: other.share(i),
  }));
  return {
    ...sidesOf(a, b),
    n_a: one.n,
    n_b: other.n,
    genes,
    tested: false,
    note: "From means and shares of all cells, without a test.",
  };
}

/** @param {Side} a @param {Side} b */
const sidesOf = (a, b) => ({ of: `${sideTitle(a)} and ${sideTitle(b)}`, a: sideTitle(a), b: sideTitle(b) });

/**
 * Chosen cells and the rest, of the genes that the file has values of.
 * @param {Uint8Array} chosen
 * @returns {Promise<Comparison>}
 */
async function compareChosen(chosen) {
  const positions = /** @type {NonNullable<Index["genes"]>} */ (index.genes).values;
  const names = await geneNames();
  const n = cellsIn(chosen);
  /** @type {Difference[]} */
  const genes = [];
  for (const position of positions) {
    const { top, codes } = await geneValues(position);
    // Codes are few: their values are computed once.
    const values = Float64Array.from({ length: 256 }, (_, code) => Math.expm1((code / 255) * top));
    const sums = [0, 0],
      with_value = [0, 0];
    for (let i = 0; i < codes.length; i++) {
      if (!codes[i]) continue;
      sums[chosen[i]] += values[codes[i]];
      with_value[chosen[i]] += 1;
    }
    const rest = codes.length - n;
    genes.push({
      gene: names[position],
      lfc: foldChange(sums[1] / Math.max(n, 1), sums[0] / Math.max(rest, 1)),
      here: with_value[1] / Math.max(n, 1),
      elsewhere: with_value[0] / Math.max(rest, 1),
    });
  }
  const note = `Among the ${whole(positions.length)} genes that this file has values of, without a test.`;
  return { ...sidesOf("chosen", "rest"), n_a: n, n_b: chosen.length - n, genes, tested: false, note };
}

/** What the server is asked of a side. @param {Side} side */
function askedSide(side) {
  if (side === "rest") return { rest: true };
  return side === "chosen" ? { cells: bitsOf(/** @type {Uint8Array} */ (state.chosen)) } : { rows: [side] };
}

/** @param {Side} a @param {Side} b @returns {Promise<Comparison>} */
async function testOnServer(a, b) {
  const { base } = /** @type {NonNullable<Index["live"]>} */ (index.live);
  const answer = await answerOf(`${base}compare`, { a: askedSide(a), b: askedSide(b) });
  const { genes, n_a, n_b, note } = await answer.json();
  return { ...sidesOf(a, b), genes, n_a, n_b, note: note || "", tested: true };
}

/** Genes that are higher on one side, the best first. @param {Comparison} found @param {1 | -1} sign */
function rankedGenes(found, sign) {
  const by = (/** @type {Difference} */ d) => sign * (comparedBy === "share" ? d.here - d.elsewhere : d.lfc);
  const p = (/** @type {Difference} */ d) => (comparedBy === "p" && found.tested ? (d.p ?? 1) : 0);
  return found.genes
    .filter((d) => Math.max(d.here, d.elsewhere) >= LEAST_SHARE && by(d) > 0)
    .sort((x, y) => p(x) - p(y) || by(y) - by(x));
}

/** @param {Comparison} found @param {1 | -1} sign */
function differencesTable(found, sign) {
  const ranked = rankedGenes(found, sign).slice(0, COMPARED_SHOWN);
  const names = [
    "gene",
    "log2 fold change",
    "% of cells",
    "% of the other",
    ...(found.tested ? ["adjusted p"] : []),
  ];
  const shareOf = (/** @type {number} */ share) => String(Math.round(100 * share));
  const lines = ranked.map((d) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, geneButton(d.gene)),
      ...[
        Math.abs(d.lfc).toFixed(2),
        shareOf(sign > 0 ? d.here : d.elsewhere),
        shareOf(sign > 0 ? d.elsewhere : d.here),
        ...(found.tested ? [figure(d.p_adj ?? null)] : []),
      ].map((text) => element("td", {}, text)),
    ),
  );
  const side = sign > 0 ? found.a : found.b,
    n = sign > 0 ? found.n_a : found.n_b;
  if (!ranked.length) return element("p", { class: "muted" }, `No gene is higher in ${side}.`);
  return element(
    "div",
    { class: "wide" },
    element(
      "table",
      { class: "figures" },
      element("caption", {}, `Higher in ${side}${n === null ? "" : `, ${whole(n)} cells`}`),
      tableHead(names),
      element("tbody", {}, ...lines),
    ),
  );
}

/** A gene that is drawn when it is chosen. @param {string} gene */
function geneButton(gene) {
  return element(
    "button",
    {
      type: "button",
      class: "gene",
      title: `Draw ${gene}`,
      onclick: () => showGene(gene),
    },
    gene,
  );
}

/** @param {Comparison} found */
function comparisonFile(found) {
  const genes = [...rankedGenes(found, 1), ...rankedGenes(found, -1).reverse()];
  const names = ["gene", "log2_fold_change", "share_a", "share_b", "a", "b", "p", "p_adj"];
  const lines = genes.map((d) => [
    d.gene,
    d.lfc,
    d.here,
    d.elsewhere,
    found.a,
    found.b,
    d.p ?? null,
    d.p_adj ?? null,
  ]);
  return csvOf([names, ...lines]);
}

function showComparison() {
  if (!comparePanel) return;
  if (!comparison) return comparePanel.result.replaceChildren();
  const found = comparison;
  const rank = element(
    "select",
    { id: "compared-by" },
    element("option", { value: "lfc" }, "fold change"),
    element("option", { value: "share" }, "difference of share"),
    found.tested ? element("option", { value: "p" }, "p-value") : null,
  );
  rank.value = comparedBy === "p" && !found.tested ? "lfc" : comparedBy;
  rank.addEventListener("change", () => {
    comparedBy = rank.value;
    showComparison();
    document.getElementById("compared-by")?.focus();
  });
  comparePanel.result.replaceChildren(
    element(
      "p",
      { class: "note muted" },
      found.note,
      ` Genes in at least ${100 * LEAST_SHARE} % of the cells of one side; `,
      `fold changes are of means + ${PSEUDOCOUNT}.`,
    ),
    element(
      "div",
      { class: "controls" },
      element("label", { for: "compared-by" }, "Ranked by"),
      rank,
      fileButton("CSV", "the comparison", () => download("comparison.csv", comparisonFile(found))),
    ),
    element("div", { class: "two" }, differencesTable(found, 1), differencesTable(found, -1)),
  );
}

/** Compare the two sides. @param {boolean} [tested] on the server, with the test */
async function runComparison(tested = false) {
  if (!comparePanel) return;
  compareSeen.stale = false;
  const turn = ++comparisons;
  const { a, b } = compared;
  const live = index.live?.compare;
  if (comparePanel.test) comparePanel.test.disabled = tested;
  try {
    if (tested || (a === "chosen" && live)) comparison = await testOnServer(a, b);
    else if (a === "chosen") comparison = await compareChosen(/** @type {Uint8Array} */ (state.chosen));
    else comparison = await compareRows(a, b);
    if (turn !== comparisons) return;
    if (tested) comparedBy = "p";
    showComparison();
    if (tested) say(`Tested ${comparison.of}.`);
  } catch (error) {
    if (turn !== comparisons) return;
    comparison = null;
    comparePanel.result.replaceChildren(
      element("p", { class: "error", role: "alert" }, /** @type {Error} */ (error).message),
    );
  } finally {
    if (comparePanel.test) comparePanel.test.disabled = false;
  }
}

/** Offer what can be compared, and show what is. */
function fillSides() {
  if (!comparePanel) return;
  const rows = index.rows.map((_, row) => element("option", { value: row }, rowTitle(row)));
  const chosen = state.chosen ? [element("option", { value: "chosen" }, "the chosen cells")] : [];
  const rest = element("option", { value: "rest" }, "all other cells");
  const toRest = compared.a === "chosen";
  comparePanel.a.replaceChildren(...chosen, ...rows);
  comparePanel.b.replaceChildren(rest, ...(toRest ? [] : rows.map((option) => option.cloneNode(true))));
  comparePanel.a.value = String(compared.a);
  comparePanel.b.value = String(compared.b);
}

/** @param {string} value @returns {Side} */
const sideOf = (value) => (value === "chosen" || value === "rest" ? value : Number(value));

/**
 * @param {Side} a
 * @param {Side} b
 * @param {boolean} [asked] by the person, and not only because a row was chosen
 */
function setSides(a, b, asked = false) {
  [compared.a, compared.b] = [a, a === b ? "rest" : b];
  fillSides();
  compareSeen.near ||= asked;
  drawWhenNear(compareSeen);
}

/** @type {Near} */
const compareSeen = { near: false, stale: true, draw: runComparison };

/** Compare the chosen row with another, and go there. @param {number} row */
function compareWith(row) {
  change({ other: row });
  /** @type {HTMLElement} */ (document.getElementById("compare")).scrollIntoView();
}

/** Whether two rows can be compared on this page. */
const canCompare = () => Boolean(comparePanel);

(function startCompare() {
  if (!index.genes || !readsBlocks || (index.rows.length < 2 && !index.cells)) return;
  const section = /** @type {HTMLElement} */ (document.getElementById("compare"));
  const [a, b] = [element("select", { id: "compare-a" }), element("select", { id: "compare-b" })];
  const test = index.live?.compare
    ? element("button", { type: "button", onclick: () => runComparison(true) }, "Test")
    : null;
  const result = element("div", { id: "compared" });
  a.addEventListener("change", () => {
    setSides(sideOf(a.value), a.value === "chosen" ? "rest" : compared.b, true);
  });
  b.addEventListener("change", () => setSides(compared.a, sideOf(b.value), true));
  section.append(
    element(
      "div",
      { class: "controls" },
      element("label", { for: "compare-a" }, "Compare"),
      a,
      element("label", { for: "compare-b" }, "with"),
      b,
      test,
    ),
    result,
  );
  section.hidden = false;
  comparePanel = { a, b, result, test };
  on(["row"], () => {
    if (state.row === null) return;
    change({ other: index.rows[state.row].near[0] ?? null });
  });
  on(["other"], () => setSides(state.row ?? compared.a, state.other ?? "rest"));
  on(["chosen"], () => {
    if (state.chosen) setSides("chosen", "rest");
    else if (compared.a === "chosen") setSides(state.row ?? 0, state.other ?? "rest");
  });
  on(["decisions"], fillSides);
  watchNear(section, compareSeen);
  setSides(0, index.rows[0]?.near[0] ?? "rest");
})();
