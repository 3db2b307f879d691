// The section of genes: what a person types, and lists, drawn over all rows.

/** Genes that a person typed, the newest last. @type {string[]} */
let typedGenes = [];
/** Whether the markers of the rows are drawn: until something else is. */
let drawsMarkers = true;
/** @type {number | null} position of the gene whose violin is drawn */
let violinGene = null;
const MOST_COLUMNS = 150;
/** Genes that are named one by one where they are not there. */
const MOST_NAMED = 20;
/** Markers that are drawn where nobody chose genes, over all rows. */
const MOST_UNASKED = 90;

/** The best evidence of each row. @returns {string[]} */
function genesOfRows() {
  const each = Math.max(1, Math.min(3, Math.floor(MOST_UNASKED / index.rows.length)));
  const best = index.rows.flatMap((row, i) => {
    return [...row.supporting, ...markersOf(i)].slice(0, each);
  });
  return [...new Set(best)].slice(0, MOST_UNASKED);
}

/**
 * @typedef {{box: GeneBox, shown: HTMLElement, drawn: HTMLElement, spread: HTMLElement,
 *   missing: HTMLElement}} GenePanel
 */

/** @type {GenePanel | null} */
let genePanel = null;

/** Groups that are to be drawn, with what is not known of them. */
async function groupsToDraw() {
  const wanted = [
    { name: "", genes: typedGenes },
    ...state.lists,
    ...(drawsMarkers ? [{ name: "", genes: genesOfRows() }] : []),
  ];
  const unknown = /** @type {string[]} */ ([]),
    groups = /** @type {GeneGroup[]} */ ([]);
  let room = MOST_COLUMNS,
    left = 0;
  for (const group of wanted) {
    const meant = await Promise.all(group.genes.map((gene) => geneMeant(gene)));
    unknown.push(...group.genes.filter((_, i) => !meant[i]));
    const genes = [...new Set(meant.flatMap((gene) => (gene ? [gene.value] : [])))];
    left += Math.max(0, genes.length - room);
    if (genes.length && room > 0) groups.push({ name: group.name, genes: genes.slice(0, room) });
    room -= genes.length;
  }
  return { groups, unknown: drawsMarkers && !typedGenes.length && !state.lists.length ? [] : unknown, left };
}

/** Of several drawings that were begun only the last is shown. */
let genesDrawn = 0;
/** @type {Near} */
const genesSeen = { near: false, stale: true, draw: drawGenes };

async function drawGenes() {
  if (!genePanel) return;
  genesSeen.stale = false;
  const turn = ++genesDrawn;
  try {
    await drawGenesOf(genePanel, turn);
  } catch (error) {
    // A server may be gone; what was drawn stays.
    const { message } = /** @type {Error} */ (error);
    genePanel.missing.replaceChildren(message);
    say(message);
  }
}

/** @param {GenePanel} panel @param {number} turn */
async function drawGenesOf(panel, turn) {
  const { groups, unknown, left } = await groupsToDraw();
  const rows = index.rows.map((_, row) => row);
  const scene = groups.length ? await dotPlot(groups, rows, state.row) : null;
  if (turn !== genesDrawn) return;
  const more = unknown.length > MOST_NAMED ? ` and ${unknown.length - MOST_NAMED} more` : "";
  const said = [
    unknown.length ? `Not here: ${unknown.slice(0, MOST_NAMED).join(", ")}${more}.` : "",
    left > 0 ? `Drawn are ${MOST_COLUMNS} genes; ${whole(left)} more have no room.` : "",
  ];
  panel.missing.replaceChildren(said.filter(Boolean).join(" "));
  panel.drawn.replaceChildren(
    scene ? pictureElement(scene) : element("p", { class: "muted" }, "No gene is chosen."),
  );
  panel.shown.replaceChildren(...shownChips());
  panel.spread.replaceChildren();
  const spread = violinGene === null ? null : await violin(violinGene, rows, state.row);
  if (spread && turn === genesDrawn) panel.spread.replaceChildren(pictureElement(spread));
}

/** What is drawn, each with a way to take it out. */
function shownChips() {
  const chip = (/** @type {string} */ name, /** @type {string} */ what, /** @type {() => void} */ remove) =>
    element(
      "li",
      {},
      element("span", {}, name),
      element(
        "button",
        {
          type: "button",
          "aria-label": `Remove ${what} ${name}`,
          onclick: () => {
            remove();
            drawGenes();
          },
        },
        "×",
      ),
    );
  return [
    ...typedGenes.map((gene) =>
      chip(gene, "gene", () => (typedGenes = typedGenes.filter((g) => g !== gene))),
    ),
    ...state.lists.map((list) =>
      chip(`${list.name} (${list.genes.length})`, "list", () =>
        change({ lists: state.lists.filter((l) => l !== list) }),
      ),
    ),
    drawsMarkers
      ? chip(`markers of the ${index.noun}s`, "the", () => (drawsMarkers = false))
      : element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              onclick: () => {
                drawsMarkers = true;
                drawGenes();
              },
            },
            `+ markers of the ${index.noun}s`,
          ),
        ),
  ];
}

/** The gene of a name joins what is drawn. @param {string} text */
const addGene = async (text) => genePanel?.box.take(text);

/** @param {GeneOffer} gene @param {GeneBox} box @param {string} typed */
async function drawGene({ value, gene }, box, typed) {
  if (!typedGenes.length && !state.lists.length) drawsMarkers = false;
  typedGenes = [...typedGenes.filter((other) => other !== value), value];
  if (hasViolin(gene)) violinGene = gene;
  box.input.value = "";
  await drawGenes();
  const isOther = value.toUpperCase() !== typed.toUpperCase();
  say(`${value}${isOther ? `, which ${typed} is another name of,` : ""} is drawn.`);
}

/** Add a gene to the pictures and go there. @param {number | string} gene its position, or its name */
async function showGene(gene) {
  await addGene(typeof gene === "string" ? gene : (await geneNames())[gene]);
  document.getElementById("pictures")?.scrollIntoView();
}

/** @param {GeneGroup[]} lists */
function addLists(lists) {
  if (!lists.length) return say("There is no gene in it.");
  const names = new Set(lists.map((list) => list.name));
  drawsMarkers = false;
  change({ lists: [...state.lists.filter((list) => !names.has(list.name)), ...lists].slice(-MOST_LISTS) });
  say(`${lists.length === 1 ? "One list" : `${lists.length} lists`} of genes drawn.`);
}

/** A server keeps the lists; where it does not answer, they stay on this page. */
async function keepLists() {
  const address = index.live?.lists;
  if (!address) return;
  try {
    await answerOf(address, { lists: state.lists });
  } catch (error) {
    say(reasonOf(error, "The lists are not kept: the server does not answer."));
  }
}

/** @returns {HTMLElement} */
function listForm() {
  const text = element("textarea", {
    id: "list-text",
    rows: 4,
    spellcheck: "false",
    placeholder: "T cells: CD3D, CD3E\nB cells: MS4A1, CD79A",
  });
  const file = element("input", { type: "file", id: "list-file", accept: ".gmt,.txt,.csv,.tsv" });
  file.addEventListener("change", async () => {
    for (const one of file.files) addLists(listsIn(await one.text(), one.name.replace(/\.[^.]*$/, "")));
    file.value = "";
  });
  const add = () => {
    addLists(listsIn(text.value, `list ${state.lists.length + 1}`));
    text.value = "";
  };
  return element(
    "details",
    { class: "lists" },
    element("summary", {}, "Lists of genes"),
    element("label", { for: "list-text" }, "Pasted: names with genes, GMT, a table, or only genes"),
    text,
    element(
      "p",
      { class: "row" },
      element("button", { type: "button", onclick: add }, "Draw them"),
      element("label", { for: "list-file" }, "or a file"),
      file,
    ),
    element("p", { class: "note muted" }, listsKept()),
  );
}

/** Where lists stay. */
function listsKept() {
  if (index.live?.lists) return "Lists are kept with the decisions, and are here again.";
  return "Lists are kept with the decisions when these are downloaded.";
}

(function startGenes() {
  // Where nothing can be unpacked, the map says so.
  if (index.genes ? !readsBlocks : !index.markers.length) return;
  const section = /** @type {HTMLElement} */ (document.getElementById("pictures"));
  const box = geneBox("gene", "name, alias", drawGene);
  const missing = element("p", { class: "note", id: "gene-missing" });
  const [shown, drawn, spread] = [element("ul", { class: "chips" }), element("div"), element("div")];
  const add = element("button", { type: "button", onclick: () => box.take(box.input.value) }, "Draw");
  const label = element("label", { for: "gene-box" }, "Add a gene");
  section.append(
    element("div", { class: "controls" }, label, box.field, add),
    box.note,
    missing,
    shown,
    drawn,
    spread,
    listForm(),
  );
  section.hidden = false;
  genePanel = { box, shown, drawn, spread, missing };
  on(["lists", "row", "decisions"], () => drawWhenNear(genesSeen));
  on(["lists"], keepLists);
  watchNear(section, genesSeen);
})();
