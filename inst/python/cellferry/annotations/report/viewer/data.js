// The one interface to what the page shows, whether it is in the file or on a server.

/** @type {Index} */
const index = JSON.parse(
  /** @type {HTMLElement} */ (document.getElementById("page-index")).textContent || "null",
);

/** Whether the browser can unpack the data; without it the table and the cards remain. */
const unpacks = typeof DecompressionStream === "function";

/** Whether figures can be read: a server sends them as they are, a file has them packed. */
const readsBlocks = Boolean(index.live) || unpacks;

class NoData extends Error {}

/** Why something could not be read, in words for the page. @param {unknown} error @param {string} otherwise */
const reasonOf = (error, otherwise) => (error instanceof NoData ? error.message : otherwise);

/**
 * The answer of the server; one that is no success is an error with its words.
 * @param {string} address
 * @param {object} [said] is sent as JSON
 */
async function answerOf(address, said) {
  if (!index.live) throw new NoData("This page is a file: it asks no server.");
  const how = said
    ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) }
    : { cache: /** @type {const} */ ("no-store") };
  const answer = await fetch(address, how);
  if (!answer.ok) throw new NoData(await saidBy(answer));
  return answer;
}

/**
 * Bytes of a block: `coordinates/0`, `clusters`, `column/3`, `genes`, `summary`, `gene/17`,
 * `histogram/2`, `feature/0/5`, `terms`. All numbers are little-endian.
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
async function block(name) {
  if (index.live) return new Uint8Array(await (await answerOf(index.live.base + name)).arrayBuffer());
  const element = document.querySelector(`script[data-block="${name}"]`);
  if (!element) throw new NoData("This file does not have it.");
  const text = atob(element.textContent || "");
  const packed = new Uint8Array(text.length);
  // A plain loop: a million cells are some megabytes.
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Response} answer @returns {Promise<string>} */
async function saidBy(answer) {
  try {
    const body = await answer.json();
    return body.message || body.error?.message || body.detail?.message || `The server answered ${answer.status}.`;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

/** @type {Map<string, Promise<any>>} */
const remembered = new Map();
/** Blocks of genes and columns that are kept at once: each may be of a million cells. */
const MOST_REMEMBERED = 40;

/**
 * What a block is read as; read once, the least used is forgotten.
 * @template T
 * @param {string} name
 * @param {(bytes: Uint8Array) => T} read
 * @returns {Promise<T>}
 */
function once(name, read) {
  const found = remembered.get(name);
  const promise = found || block(name).then(read);
  remembered.delete(name);
  remembered.set(name, promise);
  if (!found) promise.catch(() => remembered.delete(name));
  if (remembered.size > MOST_REMEMBERED)
    remembered.delete(/** @type {string} */ (remembered.keys().next().value));
  return promise;
}

const NOWHERE = 65535;

/** Scaled to 0..65534 with one scale for both axes; 65535 is a cell without coordinates.
 * @param {number} i of `index.cells.embeddings` */
function coordinatesOf(i) {
  return once(`coordinates/${i}`, (bytes) => {
    const both = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    const n = both.length / 2;
    return { x: both.subarray(0, n), y: both.subarray(n) };
  });
}

/** Row of each cell, 65535 for none. */
function rowsOfCells() {
  return once("clusters", (bytes) => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2));
}

/** Codes of a category (65535: missing), or numbers (NaN: missing).
 * @param {number} i of `index.cells.columns`
 * @returns {Promise<{codes: Uint16Array | null, values: Float32Array | null}>} */
function columnOf(i) {
  const { kind } = /** @type {NonNullable<Index["cells"]>} */ (index.cells).columns[i];
  return once(`column/${i}`, (bytes) => ({
    codes: kind === "category" ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2) : null,
    values: kind === "number" ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) : null,
  }));
}

/** Names of all genes, in the order of the summary. @returns {Promise<string[]>} */
function geneNames() {
  return once("genes", (bytes) => new TextDecoder().decode(bytes).split("\n"));
}

/**
 * A value per cell: `codes` 1..255 are shares of `top`, 0 is zero.
 * @param {number} position
 */
function geneValues(position) {
  return once(`gene/${position}`, valuesOf);
}

/** @param {number} assay @param {number} position */
function featureValues(assay, position) {
  return once(`feature/${assay}/${position}`, valuesOf);
}

/** @param {Uint8Array} bytes */
function valuesOf(bytes) {
  const top = new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
  return { top, codes: bytes.subarray(4) };
}

/** Whether this page has a value per cell of a gene. @param {number} position */
function hasValues(position) {
  return Boolean(index.genes && index.cells && (index.live || index.genes.values.includes(position)));
}

/**
 * Share of the cells with a value and mean on the scale of counts, of each gene in each row.
 * @returns {Promise<{share: (gene: number, row: number) => number, mean: (gene: number, row: number) => number}>}
 */
function summaryOfGenes() {
  const { n, least, most } = /** @type {NonNullable<Index["genes"]>} */ (index.genes);
  const rows = index.rows.length;
  return once("summary", (bytes) => {
    const step = Math.log(most / least) / 254;
    return {
      share: (gene, row) => bytes[gene * rows + row] / 255,
      mean: (gene, row) => {
        const code = bytes[n * rows + gene * rows + row];
        return code === 0 ? 0 : least * Math.exp(step * (code - 1));
      },
    };
  });
}

const BINS = 32;

/**
 * Cells per bin and row; the first bin is of zeros, the others part 0..`top` evenly.
 * @param {number} position of the gene
 * @returns {Promise<{top: number, counts: (row: number) => Uint32Array}>}
 */
async function histogramOf(position) {
  const genes = /** @type {NonNullable<Index["genes"]>} */ (index.genes);
  const place = genes.histograms.indexOf(position);
  if (place >= 0) {
    const counts = await once(
      `histogram/${place}`,
      (bytes) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4),
    );
    return { top: genes.tops[place], counts: (row) => counts.subarray(row * BINS, (row + 1) * BINS) };
  }
  const [{ top, codes }, rows] = await Promise.all([geneValues(position), rowsOfCells()]);
  const counts = new Uint32Array(index.rows.length * BINS);
  for (let i = 0; i < codes.length; i++) {
    if (rows[i] === NOWHERE) continue;
    const bin = codes[i] === 0 ? 0 : 1 + Math.min(BINS - 2, Math.floor(((codes[i] - 1) * (BINS - 1)) / 255));
    counts[rows[i] * BINS + bin] += 1;
  }
  return { top, counts: (row) => counts.subarray(row * BINS, (row + 1) * BINS) };
}

/** Labels of the Cell Ontology and their synonyms, for completion. */
function terms() {
  return once(
    "terms",
    (bytes) =>
      /** @type {{id: string, label: string, synonyms: string[]}[]} */ (
        JSON.parse(new TextDecoder().decode(bytes))
      ),
  );
}

/**
 * Bits of a mask, the first cell lowest in the first byte, in base64.
 * @param {Uint8Array} mask of zeros and ones
 */
function bitsOf(mask) {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  for (let i = 0; i < mask.length; i++) if (mask[i]) bytes[i >> 3] |= 1 << (i & 7);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
