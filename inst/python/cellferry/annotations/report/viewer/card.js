// The card of the chosen row: its evidence, what is expected, pictures, and a place to decide.

const cardSection = /** @type {HTMLElement} */ (document.getElementById("card"));
/**
 * Where the article of the chosen row stands in the page, to which it returns.
 * @type {{article: HTMLElement, place: Comment} | null}
 */
let borrowedArticle = null;
/** Of several cards that were begun only the last is shown. */
let cardsDrawn = 0;
/** Gene whose violin a person asked for, which stays from card to card. @type {string | null} */
let askedViolin = null;
const MOST_OF_A_KIND = 8;

function returnArticle() {
  if (!borrowedArticle) return;
  borrowedArticle.place.replaceWith(borrowedArticle.article);
  borrowedArticle = null;
}

/** The article that the page was written with, from further down. @param {number} row */
function borrowArticle(row) {
  returnArticle();
  const article = rowCards[row];
  const place = document.createComment("");
  article.replaceWith(place);
  article.hidden = false;
  borrowedArticle = { article, place };
  return article;
}

/** @param {number} row */
function cardHead(row) {
  const { confidence, n_cells, status, attention, lineage } = index.rows[row];
  const { label } = inForce(row);
  const facts = [
    index.noun === "label" && label === index.rows[row].cluster
      ? null
      : element("span", { class: "label" }, label ?? "no label"),
    n_cells === null ? null : counted(n_cells, "cell"),
    confidence === null ? null : `confidence ${confidence.toFixed(2)}`,
    status === "ok" ? null : status,
    lineage === label ? null : lineage,
  ];
  const title = index.noun === "label" ? index.rows[row].cluster : `Cluster ${index.rows[row].cluster}`;
  return element(
    "header",
    { class: "card-head" },
    element("h2", { id: "card-title" }, title),
    element(
      "p",
      { class: "card-facts" },
      ...facts
        .filter((fact) => fact !== null)
        .map((fact) => (typeof fact === "string" ? element("span", { class: "muted" }, fact) : fact)),
    ),
    element(
      "span",
      { class: "steps" },
      stepButton("The row before", "↑", -1),
      stepButton("The next row", "↓", 1),
    ),
    attention.length
      ? element("ul", { class: "why" }, ...attention.map(({ text }) => element("li", {}, text)))
      : null,
  );
}

/**
 * @param {string} name
 * @param {string} sign
 * @param {number} step
 */
function stepButton(name, sign, step) {
  return element("button", { type: "button", "aria-label": name, onclick: () => stepCard(step) }, sign);
}

/** Another row without leaving the card. @param {number} step */
function stepCard(step) {
  const at = /** @type {HTMLElement | null} */ (document.activeElement)?.getAttribute("aria-label");
  moveRow(step);
  const button =
    at &&
    Array.from(cardSection.querySelectorAll(".steps button")).find(
      (b) => b.getAttribute("aria-label") === at,
    );
  if (button) /** @type {HTMLElement} */ (button).focus();
}

/** Sign and words of what an expected marker is here. */
const EXPECTED = {
  found: { sign: "●", words: "found" },
  silent: { sign: "○", words: "silent" },
  "not measured": { sign: "–", words: "not measured" },
  "not listed": { sign: "–", words: "not in the table" },
};

/** Expected markers of the label and of its best alternative. @param {number} row */
function expectedMarkers(row) {
  const { expected } = index.rows[row];
  if (!expected.length) return null;
  const isListed = expected.some(({ genes }) => genes.some((gene) => gene.state === "not listed"));
  const { found, silent } = EXPECTED;
  const signs = [found, silent, EXPECTED[isListed ? "not listed" : "not measured"]];
  const one = (/** @type {Expected} */ { label, genes }) =>
    element(
      "div",
      {},
      element(
        "h4",
        {},
        label || "this label",
        element("span", {}, ` ${genes.filter((g) => g.state === "found").length} of ${genes.length} found`),
      ),
      element(
        "ul",
        { class: "expected" },
        ...genes.map(({ gene, state: at }) =>
          element(
            "li",
            { class: at.replace(" ", "-"), title: `${gene}: ${EXPECTED[at].words}` },
            element("span", { "aria-hidden": "true" }, EXPECTED[at].sign),
            " ",
            cardGene(gene),
            element("span", { class: "unseen" }, ` ${EXPECTED[at].words}`),
          ),
        ),
      ),
    );
  return element(
    "section",
    { class: "expected-markers" },
    element("h3", {}, "Expected markers"),
    ...expected.map(one),
    element("p", { class: "note muted" }, signs.map(({ sign, words }) => `${sign} ${words}`).join(", ")),
  );
}

/** A gene; where its values are known a click draws them. @param {string} gene */
function cardGene(gene) {
  const made = element(
    "button",
    { type: "button", class: "gene", title: `Values of ${gene}`, onclick: () => drawCardViolin(gene) },
    gene,
  );
  return index.genes && readsBlocks ? made : element("i", {}, gene);
}

/** @param {number} row */
function enginesTable(row) {
  const { engines } = index.rows[row];
  if (!engines.length) return null;
  const lines = engines.map((e) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, e.engine),
      element("td", {}, e.label ?? "–"),
      element("td", {}, e.confidence === null ? "–" : e.confidence.toFixed(2)),
      element("td", {}, e.status),
    ),
  );
  return element(
    "section",
    {},
    element("h3", {}, "Engines"),
    element(
      "div",
      { class: "wide" },
      element(
        "table",
        { class: "engines" },
        tableHead(["Engine", "Label", "Confidence", "Status"]),
        element("tbody", {}, ...lines),
      ),
    ),
  );
}

/** @param {number} row */
function nearestRows(row) {
  const { near } = index.rows[row];
  if (!near.length) return null;
  const one = (/** @type {number} */ other) =>
    element(
      "li",
      {},
      element("button", { type: "button", class: "link", onclick: () => chooseRow(other) }, rowTitle(other)),
      canCompare()
        ? element(
            "button",
            {
              type: "button",
              "aria-label": `compare with ${rowTitle(other)}`,
              onclick: () => compareWith(other),
            },
            "compare",
          )
        : null,
    );
  return element(
    "section",
    {},
    element("h3", {}, "Nearest by markers"),
    element("ul", { class: "choices" }, ...near.map(one)),
  );
}

/** Genes of the evidence, in groups. @param {number} row @returns {Promise<GeneGroup[]>} */
async function groupsOfCard(row) {
  const { supporting, conflicting, missing, expected } = index.rows[row];
  const other = expected[1];
  const wanted = [
    { name: "for", genes: supporting },
    { name: "against", genes: conflicting },
    { name: "missing", genes: missing },
    { name: other ? other.label : "", genes: other ? other.genes.map((g) => g.gene) : [] },
    { name: "best markers", genes: supporting.length ? [] : markersOf(row) },
  ];
  const groups = [],
    seen = new Set();
  for (const { name, genes } of wanted) {
    const meant = (await Promise.all(genes.map((gene) => geneMeant(gene)))).flatMap((gene) =>
      gene && !seen.has(gene.value) ? [gene.value] : [],
    );
    const own = [...new Set(meant)].slice(0, MOST_OF_A_KIND);
    own.forEach((gene) => seen.add(gene));
    if (own.length) groups.push({ name, genes: own });
  }
  return groups;
}

/** The same picture may be among the genes below, and has another name there. @param {Scene} scene @param {number} row */
const cardPicture = (scene, row) =>
  pictureElement({ ...scene, title: `${scene.title}, ${rowName(row)} first` });

/** The chosen row first, then what is most like it, then the others. @param {number} row */
function rowsFrom(row) {
  return [...new Set([row, ...index.rows[row].near, ...index.rows.keys()])];
}

const cardDots = element("section", { class: "card-dots" });
const cardSpread = element("section", { class: "card-spread" });

/** Draw what goes with the card; what fails is said in its place. */
async function drawCardPictures() {
  if (state.row === null || (index.genes && !readsBlocks)) return;
  try {
    await drawPicturesOf(state.row, cardDots, cardSpread);
  } catch (error) {
    cardDots.replaceChildren(element("p", { class: "error" }, /** @type {Error} */ (error).message));
  }
}

/**
 * Dot plot and violin of the genes of a row.
 * @param {number} row
 * @param {HTMLElement} dots
 * @param {HTMLElement} spread
 */
async function drawPicturesOf(row, dots, spread) {
  const turn = ++cardsDrawn;
  const groups = await groupsOfCard(row);
  if (!groups.length) return;
  const scene = await dotPlot(groups, rowsFrom(row), row);
  if (turn !== cardsDrawn) return;
  dots.replaceChildren(element("h3", {}, "Its genes in all rows"), cardPicture(scene, row));
  const genes = groups.flatMap((group) => group.genes);
  const places = await Promise.all(genes.map((gene) => geneMeant(gene)));
  const drawn = genes.filter((_, i) => hasViolin(places[i]?.gene ?? -1));
  if (turn !== cardsDrawn || !drawn.length) return;
  const choice = element(
    "select",
    { id: "violin-of", onchange: () => drawCardViolin(choice.value) },
    ...drawn.map((gene) => element("option", { value: gene }, gene)),
  );
  spread.replaceChildren(
    element("h3", {}, element("label", { for: "violin-of" }, "Values of "), choice),
    element("div", { id: "card-violin" }),
  );
  await drawCardViolin(askedViolin && drawn.includes(askedViolin) ? askedViolin : drawn[0], true);
}

/** @param {string} gene @param {boolean} [unasked] */
async function drawCardViolin(gene, unasked = false) {
  const row = state.row,
    turn = cardsDrawn;
  const meant = await geneMeant(gene);
  if (!meant) return say(`${gene} was not measured.`);
  const place = document.getElementById("card-violin");
  if (!place || row === null || !hasViolin(meant.gene)) return showGene(gene);
  if (!unasked) askedViolin = gene;
  const scene = await violin(meant.gene, rowsFrom(row), row);
  if (turn !== cardsDrawn) return;
  const choice = /** @type {HTMLSelectElement} */ (document.getElementById("violin-of"));
  if (!Array.from(choice.options).some((option) => option.value === meant.value))
    choice.append(element("option", { value: meant.value }, meant.value));
  choice.value = meant.value;
  place.replaceChildren(cardPicture(scene, row));
  if (!unasked) say(scene.title);
}

/** Cells that were chosen, where no row is. */
function cardOfCells() {
  const n = cellsIn(/** @type {Uint8Array} */ (state.chosen));
  return [
    element("header", { class: "card-head" }, element("h2", { id: "card-title" }, counted(n, "chosen cell"))),
    decidePanel,
  ];
}

function drawCard() {
  const { row } = state;
  cardSection.hidden = row === null && !state.chosen;
  if (row === null) {
    returnArticle();
    return cardSection.replaceChildren(...(state.chosen ? cardOfCells() : []));
  }
  cardDots.replaceChildren();
  cardSpread.replaceChildren();
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const kept = focused && decidePanel.contains(focused) ? focused : null;
  const article = borrowArticle(row);
  cardSection.replaceChildren(
    cardHead(row),
    element(
      "div",
      { class: "card-body" },
      element(
        "div",
        { class: "card-side" },
        decidePanel,
        expectedMarkers(row),
        enginesTable(row),
        nearestRows(row),
      ),
      article,
    ),
    element("div", { class: "card-pictures" }, cardDots, cardSpread),
  );
  // The panel was taken out and put in again, which takes the focus away.
  kept?.focus({ preventScroll: true });
  drawCardPictures();
}

(function startCard() {
  cardSection.tabIndex = -1;
  cardSection.setAttribute("aria-labelledby", "card-title");
  on(["row"], drawCard);
  on(["chosen"], () => state.row === null && drawCard());
  on(["decisions"], () => {
    const head = cardSection.querySelector(".card-head");
    if (state.row !== null && head) head.replaceWith(cardHead(state.row));
    drawCardPictures();
  });
  // On paper every article stands where the page was written with it.
  addEventListener("beforeprint", returnArticle);
  addEventListener("afterprint", drawCard);
})();
