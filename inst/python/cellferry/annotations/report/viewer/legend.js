// What colours the cells: labels, columns, genes; the choice of it, and the legend.

/** Entries of a legend at most; a column may have more categories. */
const MOST_ENTRIES = 200;
/** Entries that a file of a picture has room for. */
const MOST_IN_FILE = 60;
const TONES = 40;
/** A group with less than this share of the cells is drawn above the others. */
const SMALL_GROUP = 0.05;
/** Completions that are offered at once. */
const MOST_OFFERED = 8;

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
  if (like) return like.color[mapIsDark() ? 1 : 0];
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
  const place = (mapIsDark() ? 0.18 + 0.82 * share : 0.93 * (1 - share)) * (RAMP.length - 1);
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

/** Pixel and layer of each code. @param {Painting} painting @param {Uint32Array} cells that are drawn */
function inksOf(painting, cells) {
  const grey = inkOf(mapColours().grey);
  const inks = new Uint32Array(NOWHERE + 1).fill(grey);
  const layers = new Uint8Array(NOWHERE + 1).fill(GREY);
  if (painting.scale) {
    const { full } = painting.scale;
    for (let code = 1; code < 256; code++) {
      inks[code] = inkOf(rampAt(Math.min((code - 1) / Math.max(full - 1, 1), 1)));
      layers[code] = COMMON;
    }
    return { inks, layers };
  }
  const pixels = painting.entries.map((entry) => inkOf(entry.colour()));
  const small = painting.entries
    .map((entry, i) => ({ i, n: entry.n }))
    .filter(({ n }) => n < SMALL_GROUP * cells.length)
    .sort((a, b) => b.n - a.n || a.i - b.i);
  const layerOf = new Uint8Array(painting.entries.length).fill(COMMON);
  small.forEach(({ i }, rank) => {
    layerOf[i] = Math.min(COMMON + 1 + rank, CHOSEN_ROW - 1);
  });
  for (let code = 0; code <= NOWHERE; code++) {
    const entry = painting.entryOf[code];
    if (entry === NOWHERE) continue;
    inks[code] = pixels[entry];
    layers[code] = painting.entries[entry].level === NOWHERE ? GREY : layerOf[entry];
  }
  return { inks, layers };
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
    entries.push({ ...categoryEntry("missing", NOWHERE, counts[NOWHERE]), colour: () => mapColours().grey });
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

/** A number as one reads it. @param {number} n */
function figure(n) {
  if (!Number.isFinite(n)) return "missing";
  if (Number.isInteger(n) || Math.abs(n) >= 1000) return n < 0 ? `−${whole(-n)}` : whole(n);
  return String(Number(n.toPrecision(3))).replace("-", "−");
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
  const readable = index.genes && index.cells !== null && (index.live || unpacks);
  return readable || index.features.length ? [...tools, geneBox("Gene", colourByGene)] : tools;
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

/**
 * @typedef {{name: string, detail: string, gene: number, assay: number | null}} Offer a gene, or a feature
 *   of an assay
 */

/** Colour by a gene, or say why not. @param {Offer} offer @param {(text: Node | string) => void} tell */
function colourByGene({ gene, name, assay }, tell) {
  if (assay !== null) return change({ colouring: { by: "feature", assay, gene, name } });
  if (hasValues(gene)) return change({ colouring: { by: "gene", gene, name } });
  const words = element(
    "span",
    {},
    element("b", {}, name),
    ": this file has its figures by ",
    index.noun,
    ", not its value in each cell. ",
  );
  if (typeof showGene === "function")
    words.append(element("button", { type: "button", onclick: () => showGene(gene) }, "Dot plot"));
  tell(words);
}

let geneBoxes = 0;

/**
 * A field that completes names of genes and features.
 * @param {string} label
 * @param {(offer: Offer, tell: (text: Node | string) => void) => void} choose
 * @returns {HTMLElement}
 */
function geneBox(label, choose) {
  const id = `gene-box-${++geneBoxes}`;
  const list = element("ul", {
    role: "listbox",
    id: `${id}-list`,
    "aria-label": "Genes",
    class: "offers",
    hidden: true,
  });
  const said = element("p", { class: "note muted gene-said", role: "status" });
  /** @type {Offer[]} */
  let offers = [];
  let active = -1,
    asked = 0;
  const input = element("input", {
    id,
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
    placeholder: "CD3E",
  });
  const tell = (/** @type {Node | string} */ text) => said.replaceChildren(text);
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  };
  const take = (/** @type {Offer} */ offer) => {
    close();
    input.value = offer.name;
    tell("");
    choose(offer, tell);
  };
  const mark = (/** @type {number} */ i) => {
    active = i;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === i)));
    if (i >= 0) input.setAttribute("aria-activedescendant", `${id}-${i}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const show = (/** @type {Offer[]} */ found) => {
    offers = found;
    list.replaceChildren(
      ...found.map((offer, i) =>
        element(
          "li",
          {
            role: "option",
            id: `${id}-${i}`,
            "aria-selected": "false",
            onpointerdown: (/** @type {Event} */ e) => {
              e.preventDefault();
              take(offer);
            },
          },
          offer.name,
          offer.detail ? element("small", {}, ` ${offer.detail}`) : null,
        ),
      ),
    );
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(Boolean(found.length)));
    mark(-1);
  };
  const complete = async () => {
    const turn = ++asked;
    tell("");
    const found = await offersOf(input.value);
    if (turn === asked) show(found);
  };
  const enter = async () => {
    const turn = ++asked;
    const wanted = input.value.trim();
    if (active >= 0) return take(offers[active]);
    if (!wanted) return;
    const exact = await exactOffer(wanted);
    if (turn !== asked) return;
    if (exact) return take(exact);
    const near = await nearestOffers(wanted);
    show(near);
    tell(
      `There is no gene "${wanted}".${near.length ? ` Near: ${near.map((o) => o.name).join(", ")}.` : ""}`,
    );
  };
  input.addEventListener("input", complete);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape") close();
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.hidden) {
      event.preventDefault();
      mark(
        (active +
          (event.key === "ArrowDown" ? 1 : -1) +
          offers.length +
          (active < 0 && event.key === "ArrowUp" ? 1 : 0)) %
          offers.length,
      );
    }
  });
  return element(
    "div",
    { class: "gene-box" },
    element("label", { for: id }, label),
    element("div", { class: "offered" }, input, list),
    said,
  );
}

/** Names of genes in capitals, made once. @type {string[] | null} */
let upperNames = null;

/** @returns {Promise<{names: string[], upper: string[]}>} */
async function namesOfGenes() {
  const names = index.genes ? await geneNames() : [];
  upperNames ??= names.map((name) => name.toUpperCase());
  return { names, upper: upperNames };
}

/** @param {string} name @param {number} gene @param {string} [detail] @returns {Offer} */
const geneOffer = (name, gene, detail = "") => ({ name, gene, detail, assay: null });

/**
 * What completes a text: names that begin with it, other names, names that have it within.
 * @param {string} text
 */
async function offersOf(text) {
  const wanted = text.trim().toUpperCase();
  if (!wanted) return [];
  const { names, upper } = await namesOfGenes();
  const aliases = index.genes ? index.genes.aliases : {};
  const begin = [],
    within = [];
  for (let i = 0; i < upper.length && begin.length < MOST_OFFERED; i++) {
    if (upper[i].startsWith(wanted)) begin.push(geneOffer(names[i], i));
    else if (within.length < MOST_OFFERED && upper[i].includes(wanted)) within.push(geneOffer(names[i], i));
  }
  // A name that is the text itself comes before longer ones.
  begin.sort((a, b) => Number(b.name.toUpperCase() === wanted) - Number(a.name.toUpperCase() === wanted));
  const other = Object.hasOwn(aliases, wanted)
    ? [geneOffer(names[aliases[wanted]], aliases[wanted], `for ${text.trim()}`)]
    : [];
  const found = [
    ...begin,
    ...featureOffers((name) => name.startsWith(wanted)),
    ...other,
    ...within,
    ...featureOffers((name) => name.includes(wanted)),
  ];
  const seen = new Set();
  return found
    .filter((o) => !seen.has(`${o.assay}/${o.gene}`) && seen.add(`${o.assay}/${o.gene}`))
    .slice(0, MOST_OFFERED);
}

/** @param {(name: string) => boolean} fits @returns {Offer[]} */
function featureOffers(fits) {
  /** @type {Offer[]} */
  const found = [];
  index.features.forEach(({ key, names }, assay) =>
    names.forEach((plain, gene) => {
      const name = key + plain,
        upper = name.toUpperCase();
      if (found.length < MOST_OFFERED && (fits(upper) || fits(plain.toUpperCase())))
        found.push({ name, gene, detail: "", assay });
    }),
  );
  return found;
}

/** @param {string} name @returns {Promise<Offer | undefined>} */
async function exactOffer(name) {
  const gene = await findGene(name);
  if (gene >= 0) return geneOffer((await geneNames())[gene], gene);
  const upper = name.toUpperCase();
  return featureOffers((other) => other === upper)[0];
}

/** Names with few changes from what was written. @param {string} text */
async function nearestOffers(text) {
  const wanted = text.toUpperCase().slice(0, 40),
    most = Math.max(1, Math.min(3, Math.floor(wanted.length / 2)));
  const { names, upper } = await namesOfGenes();
  const found = [];
  for (let i = 0; i < upper.length; i++) {
    const apart = changesBetween(wanted, upper[i], most);
    if (apart <= most) found.push({ i, apart });
  }
  found.sort((a, b) => a.apart - b.apart || a.i - b.i);
  return found.slice(0, 5).map(({ i }) => geneOffer(names[i], i));
}

/** Levenshtein's distance, or more than `most`. @param {string} a @param {string} b @param {number} most */
function changesBetween(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      now.push(Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + Number(a[i - 1] !== b[j - 1])));
      least = Math.min(least, now[j]);
    }
    if (least > most) return most + 1;
    before = now;
  }
  return before[b.length];
}

// ---- The legend

/**
 * @type {{box: any, buttons: {entry: Entry, button: any, count: any}[],
 *   groups: {button: any, rows: number[]}[], all: any}}
 */
const legendNow = { box: null, buttons: [], groups: [], all: null };

function buildLegend() {
  legendNow.box = element("div", { class: "map-legend", role: "group", "aria-label": "Legend" });
  return legendNow.box;
}

/** Draw the legend of what colours the cells. */
function showLegend() {
  const { painting } = theMap;
  if (!painting) return;
  const again = legendNow.box.contains(document.activeElement)
    ? document.activeElement?.getAttribute("data-entry")
    : null;
  legendNow.buttons = [];
  legendNow.groups = [];
  legendNow.all = element(
    "button",
    { type: "button", class: "plain", hidden: true, onclick: () => showAllOf(painting) },
    "Show all",
  );
  const head = element("div", { class: "legend-head" }, element("b", {}, painting.title), legendNow.all);
  legendNow.box.replaceChildren(
    head,
    painting.scale
      ? colourBar(painting)
      : element("div", { class: "legend-columns" }, ...entryLists(painting)),
  );
  updateLegend();
  if (again) legendNow.box.querySelector(`[data-entry="${CSS.escape(again)}"]`)?.focus();
}

/** @param {Painting} painting @returns {Node[]} */
function entryLists(painting) {
  const there = painting.entries
    .map((entry, i) => ({ entry, i }))
    .filter(({ entry }) => entry.n > 0 || entry.rows.length > 0);
  const shown =
    there.length > MOST_ENTRIES ? there.sort((a, b) => b.entry.n - a.entry.n).slice(0, MOST_ENTRIES) : there;
  /** @type {Map<string | null, {entry: Entry, i: number}[]>} */
  const groups = new Map();
  for (const one of shown) groups.set(one.entry.group, [...(groups.get(one.entry.group) || []), one]);
  const size = (/** @type {{entry: Entry}[]} */ of) => of.reduce((n, { entry }) => n + entry.n, 0);
  const sorted = [...groups].sort((a, b) => size(b[1]) - size(a[1]));
  const lists = sorted.flatMap(([group, of]) => {
    const alone = group === null || sorted.length === 1 || (of.length === 1 && of[0].entry.name === group);
    const list = element(
      "ul",
      alone ? {} : { "aria-label": group },
      ...of.map(({ entry, i }) => entryItem(entry, i)),
    );
    return alone
      ? [list]
      : [
          groupHead(
            /** @type {string} */ (group),
            of.flatMap(({ entry }) => entry.rows),
          ),
          list,
        ];
  });
  const more = there.length - shown.length;
  return more ? [...lists, element("p", { class: "note muted" }, `and ${whole(more)} smaller ones`)] : lists;
}

/** @param {string} name @param {number[]} rows */
function groupHead(name, rows) {
  const button = element(
    "button",
    {
      type: "button",
      class: "legend-group",
      "aria-pressed": "true",
      title: "Show or hide all of them",
      onclick: () => toggleRows(rows),
    },
    name,
  );
  legendNow.groups.push({ button, rows });
  return button;
}

/** @param {Entry} entry @param {number} i */
function entryItem(entry, i) {
  const count = element("span", { class: "legend-n" });
  const button = element(
    "button",
    {
      type: "button",
      class: "legend-entry",
      "aria-pressed": "true",
      "data-entry": String(i),
      onclick: () => toggleEntry(entry),
    },
    element("i", { style: `background:${entry.colour()}`, "aria-hidden": "true" }),
    element(
      "span",
      { class: "legend-name" },
      entry.name,
      entry.detail ? element("small", {}, entry.detail) : null,
    ),
    count,
  );
  const only = element(
    "button",
    {
      type: "button",
      class: "legend-only",
      "aria-label": `Only ${entry.name}`,
      title: "Only this",
      onclick: () => onlyEntry(entry),
    },
    "only",
  );
  legendNow.buttons.push({ entry, button, count });
  return element("li", {}, button, only);
}

/** The scale of numbers. @param {Painting} painting */
function colourBar(painting) {
  const { low, high, under, over, none } = /** @type {NonNullable<Painting["scale"]>} */ (painting.scale);
  const stops = Array.from({ length: 12 }, (_, i) => rampAt(i / 11)).join(",");
  const middle = (low + high) / 2;
  return element(
    "div",
    { class: "colour-bar" },
    element("div", {
      class: "bar-colours",
      style: `background:linear-gradient(to right,${stops})`,
      "aria-hidden": "true",
    }),
    element(
      "div",
      { class: "bar-numbers" },
      element("span", {}, (under ? "≤ " : "") + figure(low)),
      element("span", {}, figure(middle)),
      element("span", {}, (over ? "≥ " : "") + figure(high)),
    ),
    element(
      "div",
      { class: "bar-none" },
      element("i", { style: `background:${mapColours().grey}`, "aria-hidden": "true" }),
      none,
    ),
  );
}

/** Counts, and what is hidden, as they are now. */
function updateLegend() {
  const { painting } = theMap;
  if (!painting || !legendNow.all) return;
  const counts = painting.scale ? null : countsOf(painting.codes, state.shown);
  for (const { entry, button, count } of legendNow.buttons) {
    const codes = entry.level === null ? entry.rows : [entry.level];
    const n = counts ? codes.reduce((sum, code) => sum + counts[code], 0) : 0;
    count.textContent = whole(n);
    button.title =
      n === entry.n ? "Show or hide" : `${whole(n)} of ${whole(entry.n)} pass the filters. Show or hide`;
    button.setAttribute("aria-pressed", String(isShown(painting, entry)));
  }
  for (const { button, rows } of legendNow.groups)
    button.setAttribute("aria-pressed", String(!rows.every((r) => state.hidden.has(r))));
  const filtered = painting.column !== null && state.filters.some((f) => f.column === painting.column);
  legendNow.all.hidden = !state.hidden.size && !filtered;
}

/** @param {Painting} painting @param {Entry} entry */
function isShown(painting, entry) {
  if (entry.level === null) return !entry.rows.every((row) => state.hidden.has(row));
  const filter = state.filters.find((f) => f.column === painting.column);
  return !filter || !filter.levels || filter.levels.has(entry.level);
}

/** @param {Entry} entry */
function toggleEntry(entry) {
  const { painting } = theMap;
  if (entry.level === null) toggleRows(entry.rows);
  else if (painting && painting.column !== null) toggleLevel(painting.column, entry.level);
}

/** @param {number[]} rows */
function toggleRows(rows) {
  const hidden = new Set(state.hidden);
  const hide = !rows.every((row) => hidden.has(row));
  for (const row of rows)
    if (hide) hidden.add(row);
    else hidden.delete(row);
  change({ hidden });
}

/** Show one entry alone, or all again if it is alone already. @param {Entry} entry */
function onlyEntry(entry) {
  const { painting } = theMap;
  if (!painting) return;
  if (painting.entries.every((other) => other.n === 0 || isShown(painting, other) === (other === entry)))
    return showAllOf(painting);
  if (entry.level !== null && painting.column !== null)
    return setLevels(painting.column, new Set([entry.level]));
  const kept = new Set(entry.rows);
  // 65535: cells that are in no row.
  change({ hidden: new Set([...index.rows.keys(), NOWHERE].filter((row) => !kept.has(row))) });
}

/** @param {Painting} painting */
function showAllOf(painting) {
  if (painting.column !== null)
    change({ filters: state.filters.filter((f) => f.column !== painting.column) });
  if (state.hidden.size) change({ hidden: new Set() });
}

// ---- Pictures in files: shapes that become an SVG or a canvas

/**
 * @typedef {{kind: "rect", x: number, y: number, width: number, height: number, fill: string}
 *   | {kind: "dot", x: number, y: number, r: number, fill: string}
 *   | {kind: "dots", d: string, size: number, fill: string}
 *   | {kind: "text", x: number, y: number, text: string, size: number, weight?: number, fill: string,
 *      anchor?: "start" | "middle" | "end", halo?: string}} Shape
 * @typedef {{width: number, height: number, shapes: Shape[]}} Drawing
 */

/** A drawing as a file. @param {Drawing} drawing */
function svgOf({ width, height, shapes }) {
  const made = element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height },
    element("rect", { width, height, fill: mapColours().page }),
    ...shapes.map(svgShape),
  );
  return new Blob([new XMLSerializer().serializeToString(made)], { type: "image/svg+xml" });
}

/** @param {Shape} shape */
function svgShape(shape) {
  if (shape.kind === "rect")
    return element("rect", {
      x: shape.x,
      y: shape.y,
      width: shape.width,
      height: shape.height,
      fill: shape.fill,
    });
  if (shape.kind === "dot")
    return element("circle", { cx: shape.x, cy: shape.y, r: shape.r, fill: shape.fill });
  if (shape.kind === "dots") {
    return element("path", {
      d: shape.d,
      fill: "none",
      stroke: shape.fill,
      "stroke-width": shape.size,
      "stroke-linecap": "round",
    });
  }
  const halo = shape.halo
    ? { stroke: shape.halo, "stroke-width": 4, "stroke-linejoin": "round", "paint-order": "stroke" }
    : {};
  return element(
    "text",
    {
      x: shape.x,
      y: shape.y,
      "font-size": shape.size,
      "font-weight": shape.weight ?? 400,
      fill: shape.fill,
      "font-family": MAP_FONT,
      "text-anchor": shape.anchor ?? "start",
      "dominant-baseline": "central",
      ...halo,
    },
    oneLine(shape.text),
  );
}

/**
 * @param {Drawing} drawing @param {number} ratio pixels of the canvas per unit @returns {HTMLCanvasElement}
 */
function canvasOf({ width, height, shapes }, ratio) {
  const canvas = element("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = mapColours().page;
  context.fillRect(0, 0, width, height);
  for (const shape of shapes) drawShape(context, shape);
  return canvas;
}

/** @param {CanvasRenderingContext2D} context @param {Shape} shape */
function drawShape(context, shape) {
  context.fillStyle = shape.fill;
  if (shape.kind === "rect") context.fillRect(shape.x, shape.y, shape.width, shape.height);
  else if (shape.kind === "dot") {
    context.beginPath();
    context.arc(shape.x, shape.y, shape.r, 0, 7);
    context.fill();
  } else if (shape.kind === "text") {
    context.font = `${shape.weight ?? 400} ${shape.size}px ${MAP_FONT}`;
    context.textAlign = shape.anchor === "middle" ? "center" : (shape.anchor ?? "start");
    context.textBaseline = "middle";
    context.fillText(oneLine(shape.text), shape.x, shape.y);
  }
}

/** @param {HTMLCanvasElement} canvas @param {string} name without suffix */
function savePicture(canvas, name) {
  canvas.toBlob((blob) => {
    if (blob) download(`${name}.png`, blob);
    else say("This picture is too large for the browser.");
  }, "image/png");
}

/** The legend as it stands in files. @param {number} left @param {ReturnType<typeof mapColours>} colours */
function legendShapes(left, colours) {
  const painting = /** @type {Painting} */ (theMap.painting);
  const width = 260,
    line = 20;
  /** @type {Shape[]} */
  const shapes = [
    {
      kind: "text",
      x: left,
      y: 20,
      text: shortened(painting.title, 34),
      size: 14,
      weight: 600,
      fill: colours.ink,
    },
  ];
  let y = 46;
  if (painting.scale) {
    const { low, high, under, over } = painting.scale;
    for (let i = 0; i < 100; i++)
      shapes.push({ kind: "rect", x: left + i * 2.2, y, width: 2.4, height: 12, fill: rampAt(i / 99) });
    shapes.push(
      {
        kind: "text",
        x: left,
        y: y + 24,
        text: (under ? "≤ " : "") + figure(low),
        size: 12,
        fill: colours.muted,
      },
      {
        kind: "text",
        x: left + 220,
        y: y + 24,
        text: (over ? "≥ " : "") + figure(high),
        size: 12,
        anchor: "end",
        fill: colours.muted,
      },
    );
    return { width, height: y + 40, shapes };
  }
  const drawn = painting.entries.filter((entry) => entry.n > 0 && isShown(painting, entry));
  for (const entry of drawn.slice(0, MOST_IN_FILE)) {
    shapes.push(
      { kind: "dot", x: left + 6, y, r: 5.5, fill: entry.colour() },
      { kind: "text", x: left + 20, y, text: shortened(entry.name, 28), size: 12.5, fill: colours.ink },
      {
        kind: "text",
        x: left + width - 12,
        y,
        text: whole(entry.n),
        size: 12,
        anchor: "end",
        fill: colours.muted,
      },
    );
    y += line;
  }
  const more = drawn.length - MOST_IN_FILE;
  if (more > 0)
    shapes.push({ kind: "text", x: left, y, text: `and ${whole(more)} more`, size: 12, fill: colours.muted });
  return { width, height: y + line, shapes };
}
