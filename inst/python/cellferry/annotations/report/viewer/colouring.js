// What colours the cells: labels, columns, genes; and the choice of it.

const TONES = 40;

/** Viridis (Smith and van der Walt 2015): even steps of lightness. */
const RAMP = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];

/**
 * @typedef {object} Entry of a legend
 * @property {string} name
 * @property {string} detail
 * @property {string | null} group heading under which it stands
 * @property {number[]} rows whose cells it is of, if it is of rows
 * @property {number | null} level of the column, if it is of a category; 65535 for cells without one
 * @property {() => string} colour as the page is now, `#rrggbb`
 * @property {number} n cells of the page
 *
 * @typedef {object} Painting what colours the cells
 * @property {"category" | "number"} kind
 * @property {string} title
 * @property {Uint8Array | Uint16Array} codes of each cell; of numbers 0 is none, the others part the scale
 * @property {Entry[]} entries
 * @property {Uint16Array} entryOf entry of a code, 65535 for none
 * @property {number | null} column whose categories these are
 * @property {null | {low: number, high: number, under: boolean, over: boolean, none: string,
 *   full: number}} scale of numbers: what its ends stand for, whether there is more beyond them, and the
 *   code at its upper end
 * @property {null | ((cell: number) => string)} says the value of a cell in words
 */

// ---- Colours

/** A colour of the palette of the page. @param {number | string} tone */
const toneNow = (tone) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--tone-${tone}`).trim() || "#808080";

/** Colours of the page as it is now. */
function pageColours() {
  const style = getComputedStyle(document.documentElement);
  const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    page: of("--page"),
    ink: of("--ink"),
    muted: of("--muted"),
    accent: of("--accent"),
    line: of("--line"),
    faded: isDark() ? "#283036" : "#e6e9eb",
    grey: isDark() ? "#4a545a" : "#cdd3d6",
  };
}

/** A row that had this label when the page was written. @param {string | null} label */
const rowWithLabel = (label) => (label === null ? undefined : index.rows.find((row) => row.label === label));

/** The colour of the label in force of a row, as the page is now. @param {number} row */
function colourOfLabel(row) {
  const label = labelOf(row),
    given = index.rows[row];
  return colourOfName(label, given.label === label ? given : rowWithLabel(label));
}

/** @param {string | null} label @param {Row | undefined} like a row that has this label */
function colourOfName(label, like) {
  if (label === null) return toneNow("none");
  if (like) return like.color[isDark() ? 1 : 0];
  if (label === "Unknown") return toneNow("unknown");
  let hash = 7;
  for (const letter of label) hash = (Math.imul(hash, 31) + (letter.codePointAt(0) || 0)) >>> 0;
  return toneNow(hash % TONES);
}

/**
 * What stands for the label in force at a level; lineages are the broadest.
 * @param {number} row @param {number} level
 */
function levelOf(row, level) {
  const label = labelOf(row),
    given = index.rows[row];
  const like = given.label === label ? given : rowWithLabel(label);
  return like ? (like.levels[level] ?? label) : label;
}

/** @param {number} row */
function lineageOf(row) {
  const label = labelOf(row),
    given = index.rows[row];
  return (
    (given.label === label ? given : rowWithLabel(label))?.lineage ?? (label === null ? "No label" : "Other")
  );
}

/** A place on the ramp of numbers. @param {number} share 0..1 */
function rampAt(share) {
  // Darker is more on white, lighter is more on black.
  const place = (isDark() ? 0.18 + 0.82 * share : 0.93 * (1 - share)) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2),
    part = place - low;
  const parts = [1, 3, 5].map((i) => {
    const [a, b] = [RAMP[low], RAMP[low + 1]].map((c) => parseInt(c.slice(i, i + 2), 16));
    return Math.round(a + (b - a) * part)
      .toString(16)
      .padStart(2, "0");
  });
  return "#" + parts.join("");
}

// ---- What colours the cells

/** @param {Colouring} colouring @returns {Promise<Painting>} */
async function paintingOf(colouring) {
  const grouped = (/** @type {number} */ row) => lineageOf(row);
  const of = (/** @type {number} */ row) => ({
    name: labelOf(row) ?? "no label",
    colour: () => colourOfLabel(row),
  });
  switch (colouring.by) {
    case "label":
      return paintedByRows("label", of, grouped);
    case "level":
      return paintedByRows(
        `${LEVEL_NAMES[colouring.level]} type`,
        (row) => ofLevel(row, colouring.level),
        colouring.level === 0 ? null : grouped,
      );
    case "cluster":
      return paintedByRows(
        "cluster",
        (row) => ({
          name: index.rows[row].cluster,
          detail: labelOf(row) ?? "no label",
          colour: () => toneNow(row % TONES),
        }),
        grouped,
      );
    case "decision":
      return paintedByRows("decision", (row) => DECIDED[decisionOn(row)], null);
    case "confidence":
      return paintedByConfidence();
    case "column":
      return paintedByColumn(colouring.column);
    case "gene":
      return paintedByValues(colouring.name, await geneValues(colouring.gene));
    case "feature":
      return paintedByValues(colouring.name, await featureValues(colouring.assay, colouring.gene));
  }
}

const LEVEL_NAMES = ["broad", "medium", "fine"];

/** @param {number} row @param {number} level */
function ofLevel(row, level) {
  const name = levelOf(row, level);
  return {
    name: name ?? "no label",
    colour: () => {
      const like = rowWithLabel(name);
      return like || name === null || name === "Unknown" ? colourOfName(name, like) : colourOfLabel(row);
    },
  };
}

/** @type {Record<string, {name: string, colour: () => string}>} */
const DECIDED = {
  accepted: { name: "accepted", colour: () => toneNow(2) },
  relabelled: { name: "relabelled", colour: () => toneNow(0) },
  unknown: { name: "unknown", colour: () => toneNow("unknown") },
  needs_work: { name: "needs work", colour: () => toneNow(1) },
  stale: { name: "stale", colour: () => toneNow(3) },
  none: { name: "not decided", colour: () => toneNow("none") },
};

/** @param {number} row */
function decisionOn(row) {
  const { decision } = inForce(row);
  if (decision) return decision.decision;
  return state.decisions.findLast((d) => d.cluster === index.rows[row].cluster)?.state === "stale"
    ? "stale"
    : "none";
}

/** Row of each dot: of the cells, or of the rows where there are no cells. */
const rowsOfDots = async () => (mapOfRows() ? Uint16Array.from(index.rows.keys()) : rowsOfCells());

/**
 * @param {string} title
 * @param {(row: number) => {name: string, detail?: string, colour: () => string}} of
 * @param {null | ((row: number) => string)} groupOf
 * @returns {Promise<Painting>}
 */
async function paintedByRows(title, of, groupOf) {
  const codes = await rowsOfDots();
  const entryOf = new Uint16Array(NOWHERE + 1).fill(NOWHERE);
  const counts = countsOf(codes, null);
  /** @type {Map<string, Entry>} */
  const found = new Map();
  // The largest row of a name gives what the rows of it have in common.
  const largest = index.rows.map((_, row) => row).sort((a, b) => counts[b] - counts[a] || a - b);
  for (const row of largest) {
    const { name, detail, colour } = of(row);
    if (!found.has(name))
      found.set(name, {
        name,
        detail: detail ?? "",
        group: groupOf && groupOf(row),
        rows: [],
        level: null,
        colour,
        n: 0,
      });
    const entry = /** @type {Entry} */ (found.get(name));
    entry.rows.push(row);
    entry.n += counts[row];
  }
  const entries = [...found.values()];
  if (title === "cluster") entries.sort((a, b) => a.rows[0] - b.rows[0]);
  else entries.sort((a, b) => b.n - a.n);
  entries.forEach((entry, i) => {
    entry.rows.sort((a, b) => a - b);
    if (!entry.detail && index.noun === "cluster")
      entry.detail = entry.rows.map((row) => index.rows[row].cluster).join(", ");
    for (const row of entry.rows) entryOf[row] = i;
  });
  const says =
    title === "label" || title === "cluster"
      ? null
      : (/** @type {number} */ cell) => entries[entryOf[codes[cell]]]?.name ?? "none";
  return { kind: "category", title, codes, entries, entryOf, column: null, scale: null, says };
}

/** @param {ArrayLike<number>} codes @param {Uint8Array | null} mask */
function countsOf(codes, mask) {
  const counts = new Uint32Array(NOWHERE + 1);
  if (mask) for (let i = 0; i < codes.length; i++) counts[codes[i]] += mask[i];
  else for (let i = 0; i < codes.length; i++) counts[codes[i]] += 1;
  return counts;
}

/** @returns {Promise<Painting>} */
async function paintedByConfidence() {
  const rows = await rowsOfDots();
  const ofRow = new Uint8Array(NOWHERE + 1);
  index.rows.forEach(({ confidence }, row) => {
    ofRow[row] = confidence === null ? 0 : 1 + Math.round(254 * confidence);
  });
  const says = (/** @type {number} */ cell) => figure(index.rows[rows[cell]]?.confidence ?? NaN);
  return numbers(
    "confidence",
    rows.map((row) => ofRow[row]),
    { low: 0, high: 1, under: false, over: false, none: "no confidence", full: 255 },
    says,
  );
}

/**
 * @param {string} title @param {Uint8Array | Uint16Array} codes @param {Painting["scale"]} scale
 * @param {Painting["says"]} says @returns {Painting}
 */
function numbers(title, codes, scale, says) {
  return {
    kind: "number",
    title,
    codes,
    entries: [],
    entryOf: new Uint16Array(0),
    column: null,
    scale,
    says,
  };
}

/** @param {number} i @returns {Promise<Painting>} */
async function paintedByColumn(i) {
  const column = /** @type {NonNullable<Index["cells"]>} */ (index.cells).columns[i];
  const { codes, values } = await columnOf(i);
  if (values) return paintedByNumbers(column.name, values);
  const kept = /** @type {Uint16Array} */ (codes);
  const counts = countsOf(kept, null);
  const entryOf = new Uint16Array(NOWHERE + 1).fill(NOWHERE);
  const entries = column.levels.map((name, level) => categoryEntry(name, level, counts[level]));
  if (counts[NOWHERE])
    entries.push({ ...categoryEntry("missing", NOWHERE, counts[NOWHERE]), colour: () => pageColours().grey });
  entries.forEach((entry, place) => {
    entryOf[/** @type {number} */ (entry.level)] = place;
  });
  const says = (/** @type {number} */ cell) => column.levels[kept[cell]] ?? "missing";
  return {
    kind: "category",
    title: column.name,
    codes: kept,
    entries,
    entryOf,
    column: i,
    scale: null,
    says,
  };
}

/** @param {string} name @param {number} level @param {number} n @returns {Entry} */
function categoryEntry(name, level, n) {
  const like = rowWithLabel(name);
  return {
    name,
    detail: "",
    group: null,
    rows: [],
    level,
    n,
    colour: () => (like ? colourOfName(name, like) : toneNow(level % TONES)),
  };
}

/** @param {string} title @param {Float32Array} values @returns {Painting} */
function paintedByNumbers(title, values) {
  const sorted = sampleOf(values, Number.isFinite);
  const [least, most] = [sorted[0] ?? 0, sorted[sorted.length - 1] ?? 1];
  // A few extreme cells would leave one colour to all others.
  const low = sorted[Math.floor(sorted.length * 0.01)] ?? 0,
    high = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 1;
  const [from, to] = high > low ? [low, high] : [least, most > least ? most : least + 1];
  const codes = new Uint8Array(values.length);
  const step = 254 / (to - from);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    // Not a number stays 0.
    if (value === value) codes[i] = 1 + Math.round(Math.min(Math.max((value - from) * step, 0), 254));
  }
  const scale = { low: from, high: to, under: least < from, over: most > to, none: "missing", full: 255 };
  return numbers(title, codes, scale, (cell) =>
    Number.isNaN(values[cell]) ? "missing" : figure(values[cell]),
  );
}

/** @param {string} title @param {{top: number, codes: Uint8Array}} values @returns {Painting} */
function paintedByValues(title, { top, codes }) {
  const sorted = sampleOf(codes, (code) => code > 0);
  const full = Math.max(sorted[Math.ceil(sorted.length * 0.995) - 1] ?? 255, 2);
  const scale = {
    low: 0,
    high: (top * full) / 255,
    under: false,
    over: (sorted[sorted.length - 1] ?? 0) > full,
    none: "0",
    full,
  };
  return numbers(title, codes, scale, (cell) => figure((top * codes[cell]) / 255));
}

/**
 * Some values of many, sorted; always the same ones.
 * @param {ArrayLike<number>} values @param {(v: number) => boolean} fits
 */
function sampleOf(values, fits) {
  const step = Math.max(1, Math.floor(values.length / 20_000));
  const found = [];
  for (let i = 0; i < values.length; i += step) if (fits(values[i])) found.push(values[i]);
  return Float64Array.from(found).sort();
}

/** @param {Painting} painting */
function rangeOf(painting) {
  if (!painting.scale) return "";
  const { low, high, under, over } = painting.scale;
  return `From ${under ? "at most " : ""}${figure(low)} to ${over ? "at least " : ""}${figure(high)}.`;
}

// ---- Choosing it

/** @returns {Node[]} */
function colourTools() {
  const select = element("select", { id: "colour-by", onchange: () => chooseColouring(select.value) });
  const fill = () => {
    const now = state.colouring;
    const named =
      now.by === "gene" || now.by === "feature" ? [element("option", { value: "gene" }, now.name)] : [];
    select.replaceChildren(...named, ...plainChoices(), ...columnChoices());
    select.value =
      now.by === "column"
        ? `column:${now.column}`
        : now.by === "level"
          ? `level:${now.level}`
          : named.length
            ? "gene"
            : now.by;
  };
  fill();
  on(["colouring"], fill);
  const tools = [element("label", { class: "map-choice" }, "Colour by ", select)];
  const readable = index.genes && index.cells !== null && readsBlocks;
  if (!readable && !index.features.length) return tools;
  const { field, note } = geneBox("map-gene", "CD3E", colourByGene, true);
  return [
    ...tools,
    element("div", { class: "gene-box" }, element("label", { for: "map-gene-box" }, "Gene"), field, note),
  ];
}

function plainChoices() {
  const has = (/** @type {number} */ level) =>
    index.rows.some((row) => row.levels[level] && row.levels[level] !== row.label);
  const levels = LEVEL_NAMES.map((name, i) => [`level:${i}`, `${name} type`]).filter((_, i) => has(i));
  const kinds = [
    ["label", "label"],
    ...levels,
    ...(index.noun === "label" ? [] : [["cluster", "cluster"]]),
    ...(index.rows.some((row) => row.confidence !== null) ? [["confidence", "confidence"]] : []),
    ["decision", "decision"],
  ];
  return kinds.map(([value, name]) => element("option", { value }, name));
}

function columnChoices() {
  const columns = index.cells ? index.cells.columns : [];
  const options = columns.map(({ name }, i) => element("option", { value: `column:${i}` }, name));
  return options.length ? [element("optgroup", { label: "Columns" }, ...options)] : [];
}

/** @param {string} value */
function chooseColouring(value) {
  const [by, number] = value.split(":");
  if (by === "column") change({ colouring: { by, column: Number(number) } });
  else if (by === "level") change({ colouring: { by, level: Number(number) } });
  else if (by === "label" || by === "cluster" || by === "decision" || by === "confidence")
    change({ colouring: { by } });
}

/** Colour by a gene, or say why not. @param {GeneOffer} offer @param {GeneBox} box */
function colourByGene({ gene, value: name, assay }, box) {
  if (assay !== null) return change({ colouring: { by: "feature", assay, gene, name } });
  if (hasValues(gene)) return change({ colouring: { by: "gene", gene, name } });
  box.tell(
    element("b", {}, name),
    `: this file has its figures by ${index.noun}, not its value in each cell. `,
    element("button", { type: "button", onclick: () => showGene(gene) }, "Dot plot"),
  );
}
