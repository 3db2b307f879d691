// Where the cells are: their places in an embedding, and the fields by which the nearest is found.

/** The grid by which the nearest cell is found has 2^8 x 2^8 fields. */
const FIELD_BITS = 8;

/**
 * @typedef {object} Placed cells of an embedding that have a place, in an order that hides no group
 * @property {string} name
 * @property {Uint32Array} cells position of each in the page's cells
 * @property {Uint16Array} x
 * @property {Uint16Array} y downwards, as on a screen
 * @property {Uint16Array} rows of all cells of the page
 * @property {{left: number, right: number, top: number, bottom: number}} box
 * @property {Uint32Array} fields where the members of each field of the grid begin
 * @property {Uint32Array} members places in `cells`, by field
 * @property {{row: number, x: number, y: number, n: number}[]} middles of the rows
 */

/** Whether the map is of the rows themselves, as there are no cells. */
const mapOfRows = () => index.cells === null;

/** @param {number} i of the embeddings */
async function placedCells(i) {
  const embedding = /** @type {NonNullable<Index["cells"]>} */ (index.cells).embeddings[i];
  const [{ x, y }, rows] = await Promise.all([coordinatesOf(i), rowsOfCells()]);
  return place(embedding.name, x, y, rows, embedding.spatial);
}

function placedRows() {
  const { x, y } = /** @type {NonNullable<Index["places"]>} */ (index.places);
  const points = x.map((v, i) => [v, y[i]]);
  spread(points, 0.04);
  const scaled = (/** @type {number} */ axis) =>
    Uint16Array.from(points, (p) => Math.round(Math.min(Math.max(p[axis], 0), 1) * (NOWHERE - 1)));
  return place(
    "similarity of their markers",
    scaled(0),
    scaled(1),
    Uint16Array.from(index.rows.keys()),
    false,
  );
}

/**
 * Push points apart that would cover each other.
 * @param {number[][]} points @param {number} least distance
 */
function spread(points, least) {
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < points.length; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [points[i][0] - points[j][0], points[i][1] - points[j][1]];
        const apart = Math.hypot(a, b);
        if (apart >= least) continue;
        // Points at one place part in a direction that their number gives.
        const [u, v] = apart > 1e-9 ? [a / apart, b / apart] : [Math.cos(i), Math.sin(i)];
        const push = (least - apart) / 2;
        points[i] = [points[i][0] + u * push, points[i][1] + v * push];
        points[j] = [points[j][0] - u * push, points[j][1] - v * push];
      }
    }
  }
}

/**
 * @param {string} name @param {Uint16Array} x @param {Uint16Array} y @param {Uint16Array} rows
 * @param {boolean} down whether y points down already
 * @returns {Placed}
 */
function place(name, x, y, rows, down) {
  const cells = shuffled(x, y);
  const n = cells.length;
  const px = new Uint16Array(n),
    py = new Uint16Array(n);
  const box = { left: NOWHERE, right: 0, top: NOWHERE, bottom: 0 };
  for (let j = 0; j < n; j++) {
    const a = x[cells[j]],
      b = down ? y[cells[j]] : NOWHERE - 1 - y[cells[j]];
    px[j] = a;
    py[j] = b;
    if (a < box.left) box.left = a;
    if (a > box.right) box.right = a;
    if (b < box.top) box.top = b;
    if (b > box.bottom) box.bottom = b;
  }
  return { name, cells, x: px, y: py, rows, box, ...gridOf(px, py), middles: middlesOf(cells, px, py, rows) };
}

/**
 * Cells that have a place, in an order by chance that is always the same.
 * @param {Uint16Array} x @param {Uint16Array} y
 */
function shuffled(x, y) {
  const cells = new Uint32Array(x.length);
  let n = 0;
  for (let i = 0; i < x.length; i++) if (x[i] !== NOWHERE && y[i] !== NOWHERE) cells[n++] = i;
  let seed = 20_000;
  for (let i = n - 1; i > 0; i--) {
    // Marsaglia's xorshift: quick, and the same in every browser.
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    const other = (seed >>> 0) % (i + 1);
    const cell = cells[i];
    cells[i] = cells[other];
    cells[other] = cell;
  }
  return cells.subarray(0, n);
}

/** @param {Uint16Array} x @param {Uint16Array} y */
function gridOf(x, y) {
  const shift = 16 - FIELD_BITS;
  const fields = new Uint32Array((1 << (2 * FIELD_BITS)) + 1);
  const members = new Uint32Array(x.length);
  for (let j = 0; j < x.length; j++) fields[(((y[j] >> shift) << FIELD_BITS) | (x[j] >> shift)) + 1] += 1;
  for (let f = 1; f < fields.length; f++) fields[f] += fields[f - 1];
  const next = fields.slice();
  for (let j = 0; j < x.length; j++) members[next[((y[j] >> shift) << FIELD_BITS) | (x[j] >> shift)]++] = j;
  return { fields, members };
}

/**
 * The median place of each row, of at most some thousand of its cells.
 * @param {Uint32Array} cells @param {Uint16Array} x @param {Uint16Array} y @param {Uint16Array} rows
 */
function middlesOf(cells, x, y, rows) {
  const most = 2000;
  const found = index.rows.map(() => ({
    x: /** @type {number[]} */ ([]),
    y: /** @type {number[]} */ ([]),
    n: 0,
  }));
  for (let j = 0; j < cells.length; j++) {
    const row = found[rows[cells[j]]];
    if (!row) continue;
    // The order is by chance, so the first ones are a fair sample.
    if (row.n++ < most) {
      row.x.push(x[j]);
      row.y.push(y[j]);
    }
  }
  const median = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)[values.length >> 1];
  return found.map((f, row) => ({ row, n: f.n, x: median(f.x), y: median(f.y) })).filter((f) => f.n > 0);
}

/** Rows whose cells are not drawn, as a table. */
function hiddenRows() {
  const table = new Uint8Array(NOWHERE + 1);
  for (const row of state.hidden) table[row] = 1;
  return table;
}
