// The map: every cell a dot on a canvas, labels above it, and what a pointer or a key does there.

/** Room at the border, in which labels may hang over. */
const MAP_MARGIN = 28;
/** The grid by which the nearest cell is found has 2^8 x 2^8 fields. */
const FIELD_BITS = 8;
const MOST_ZOOM = 300;
/** Pixels of the canvas: a larger one is drawn coarser, so that moving it stays smooth. */
const MOST_PIXELS = 5_000_000;
/** Cells of an SVG: a file with more is too much for most programs. */
const MOST_IN_SVG = 50_000;
const MASK_SIDE = 1024;
/** Dots that are drawn in one go. */
const PART = 16_384;
/** How near a pointer must be to a dot, in pixels of the page. */
const REACH = 9;
const MAP_FONT =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif';
/** Layers below and above those of the groups. */
const FADED = 0,
  GREY = 1,
  COMMON = 2,
  CHOSEN_ROW = 254,
  NOT_DRAWN = 255;

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
 *
 * @typedef {{width: number, height: number, ratio: number}} Surface in pixels of the page, and how many of a
 *   canvas each has
 * @typedef {{text: string, full: string, row: number, x: number, y: number, width: number, height: number,
 *   at: [number, number]}} MapText a text, the middle of its box, and what it names
 *
 * @typedef {{pixels: Uint32Array, width: number, height: number}} Sheet what is drawn on
 * @typedef {{scale: number, x: number, y: number}} View pixels per unit of the map, and where its corner is
 * @typedef {{side: number, cover: Uint16Array}} Stamp a round dot
 */

const theMap = {
  /** @type {Placed | null} */ placed: null,
  /** @type {Painting | null} */ painting: null,
  /** The middle of what is seen. */
  x: 0,
  y: 0,
  zoom: 1,
  /** @type {Surface} */ surface: { width: 0, height: 0, ratio: 1 },
  /** @type {ImageData | null} */ image: null,
  /** Dots in the order in which they are drawn. */
  drawn: { n: 0, rowFrom: 0, x: new Uint16Array(0), y: new Uint16Array(0), ink: new Uint32Array(0) },
  layers: new Uint8Array(0),
  /** @type {Uint32Array | null} colours of the line around the chosen row */ rim: null,
  /** @type {MapText[]} */ texts: [],
  /** @type {"label" | "cluster" | "none"} */ named: "label",
  lassoing: false,
  /** @type {[number, number][] | null} the lasso, in coordinates of the map */ path: null,
  /** Place in `placed.cells` of the cell below the pointer. */
  hovered: -1,
  frame: /** @type {any} */ (null),
  dots: /** @type {any} */ (null),
  above: /** @type {any} */ (null),
  tip: /** @type {any} */ (null),
  note: /** @type {any} */ (null),
  selection: /** @type {any} */ (null),
  waits: false,
  turn: 0,
  loads: 0,
  begun: false,
};

const onPaper = matchMedia("print");
const mapIsDark = () => isDark() && !onPaper.matches;

/** Whether the map is of the rows themselves, as there are no cells. */
const mapOfRows = () => index.cells === null;

/** Build the map, if there is something to draw. */
function startMap() {
  const section = document.getElementById("map");
  // Rows that have no marker in common have places that mean nothing.
  const alike = index.places !== null && index.rows.some((row) => row.near.length > 0);
  const there = index.cells ? index.cells.n > 0 && index.cells.embeddings.length > 0 : alike;
  if (!section || !there) return;
  section.hidden = false;
  if (!unpacks && !index.live && index.cells) {
    section.append(
      element(
        "p",
        { class: "note muted" },
        "This browser cannot unpack the data of the map (it has no " +
          "DecompressionStream). The table and the cards are complete; a newer browser shows the map.",
      ),
    );
    return;
  }
  document.documentElement.classList.add("mapped");
  const link = document.querySelector('nav a[href="#embedding"]');
  if (link) {
    link.setAttribute("href", "#map-title");
    link.textContent = "Map";
  }
  buildMap(section);
  new ResizeObserver(resizeMap).observe(theMap.frame);
  on(["embedding"], placeCells);
  on(["colouring", "decisions"], repaint);
  on(["shown", "chosen", "hidden", "row"], rearrange);
  on(["chosen"], sayChosen);
  for (const query of [darkness, onPaper]) query.addEventListener("change", recolourNow);
  placeCells();
}

/** @param {HTMLElement} section */
function buildMap(section) {
  theMap.dots = element("canvas", { role: "img", "aria-label": "Map" });
  theMap.above = element("canvas", { class: "above", "aria-hidden": "true" });
  theMap.tip = element("div", { class: "map-tip", "aria-hidden": "true", hidden: true });
  theMap.frame = element(
    "div",
    {
      class: "map-frame",
      tabindex: "0",
      role: "group",
      "aria-label": "Map. Arrow keys move it, plus and minus zoom, 0 shows all, Escape clears the selection.",
    },
    theMap.dots,
    theMap.above,
    theMap.tip,
  );
  theMap.note = element("p", { class: "note muted map-note" });
  theMap.selection = element("p", { class: "map-selection", hidden: true });
  const picture = element("div", { class: "map-picture" }, theMap.frame, theMap.note, theMap.selection);
  section.append(mapTools(), element("div", { class: "map-body" }, picture, buildLegend()));
  listenToPointer(theMap.frame);
  theMap.frame.addEventListener("keydown", mapKey);
}

/** The controls above the picture. */
function mapTools() {
  const cells = index.cells;
  const embedding =
    cells && cells.embeddings.length > 1
      ? element(
          "label",
          { class: "map-choice" },
          "Embedding ",
          element(
            "select",
            {
              id: "map-embedding",
              onchange: (/** @type {any} */ e) => change({ embedding: Number(e.target.value) }),
            },
            ...cells.embeddings.map((one, i) => element("option", { value: i }, one.name)),
          ),
        )
      : null;
  const kinds = [
    ["label", "labels"],
    ...(index.noun === "label" ? [] : [["cluster", "clusters"]]),
    ["none", "none"],
  ];
  const texts = element(
    "label",
    { class: "map-choice" },
    "Text ",
    element(
      "select",
      { id: "map-texts", onchange: (/** @type {any} */ e) => nameBy(e.target.value) },
      ...kinds.map(([value, name]) => element("option", { value }, name)),
    ),
  );
  const lasso = mapOfRows()
    ? null
    : element(
        "button",
        {
          type: "button",
          id: "map-lasso",
          "aria-pressed": "false",
          title: "Draw around cells to choose them (or drag with Shift)",
          onclick: () => lassoOn(!theMap.lassoing),
        },
        "Lasso",
      );
  const buttons = element(
    "div",
    { class: "map-buttons" },
    lasso,
    mapButton("+", "Zoom in", () => zoomBy(1.6)),
    mapButton("−", "Zoom out", () => zoomBy(1 / 1.6)),
    mapButton("All", "Show all", showAll),
  );
  const files = element(
    "div",
    { class: "map-buttons" },
    mapButton("PNG", "Download the map as PNG", savePng),
    mapButton("SVG", "Download the map as SVG", saveSvg),
  );
  return element("div", { class: "map-tools" }, ...colourTools(), embedding, texts, buttons, files);
}

/** @param {string} text @param {string} name @param {() => void} call */
function mapButton(text, name, call) {
  return element("button", { type: "button", title: name, "aria-label": name, onclick: call }, text);
}

/** @param {"label" | "cluster" | "none"} kind */
function nameBy(kind) {
  theMap.named = kind;
  drawSoon();
}

// ---- The cells and their places

/** Read the embedding and draw it. */
async function placeCells() {
  const load = ++theMap.loads;
  let placed;
  try {
    placed = mapOfRows() ? placedRows() : await placedCells(state.embedding);
  } catch (error) {
    return noteOnMap(error instanceof NoData ? error.message : "The places of the cells cannot be read.");
  }
  if (load !== theMap.loads) return;
  theMap.placed = placed;
  theMap.hovered = -1;
  const { left, right, top, bottom } = placed.box;
  Object.assign(theMap, { x: (left + right) / 2, y: (top + bottom) / 2, zoom: 1 });
  await repaint();
}

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

// ---- What is drawn, in which order

/** Get the colours and draw; what was asked for later wins. */
async function repaint() {
  const turn = ++theMap.turn;
  const began = performance.now();
  let painting;
  try {
    painting = await paintingOf(state.colouring);
  } catch (error) {
    return noteOnMap(error instanceof NoData ? error.message : "These values cannot be read.");
  }
  if (turn !== theMap.turn || !theMap.placed) return;
  theMap.painting = painting;
  arrange();
  drawNow();
  showLegend();
  describeMap();
  performance.measure("cellferry:recolour", { start: began, end: performance.now() });
  if (!theMap.begun) performance.mark("cellferry:drawn");
  theMap.begun = true;
}

function rearrange() {
  if (!theMap.painting) return;
  arrange();
  updateLegend();
  drawSoon();
}

/** For another colour scheme or for paper: at once, as a print does not wait. */
function recolourNow() {
  if (!theMap.painting) return;
  arrange();
  drawNow();
  showLegend();
}

/**
 * Sort the dots into layers: cells that are left out lowest, then grey ones, then the groups as by
 * chance, small groups above them, and the chosen row on top.
 */
function arrange() {
  const { placed, painting } = theMap;
  if (!placed || !painting) return;
  const n = placed.cells.length;
  const { inks, layers: layerOf } = inksOf(painting, placed.cells);
  const { cells, rows } = placed,
    { codes } = painting;
  const hidden = hiddenRows(),
    { shown, chosen, row } = state;
  if (theMap.layers.length !== n) {
    theMap.layers = new Uint8Array(n);
    theMap.rim = null;
    theMap.drawn = {
      n: 0,
      rowFrom: 0,
      x: new Uint16Array(n),
      y: new Uint16Array(n),
      ink: new Uint32Array(n),
    };
  }
  const layers = theMap.layers,
    starts = new Uint32Array(256);
  for (let j = 0; j < n; j++) {
    const cell = cells[j],
      of = rows[cell];
    let layer = layerOf[codes[cell]];
    if (hidden[of]) layer = NOT_DRAWN;
    else if ((shown && !shown[cell]) || (chosen && !chosen[cell])) layer = FADED;
    else if (of === row) layer = CHOSEN_ROW;
    layers[j] = layer;
    starts[layer] += 1;
  }
  let sum = 0;
  for (let layer = 0; layer < 256; layer++) {
    const count = starts[layer];
    starts[layer] = sum;
    sum += count;
  }
  const { drawn } = theMap;
  drawn.n = starts[NOT_DRAWN];
  drawn.rowFrom = starts[CHOSEN_ROW];
  const faded = inkOf(mapColours().faded);
  for (let j = 0; j < n; j++) {
    const layer = layers[j];
    if (layer === NOT_DRAWN) continue;
    const to = starts[layer]++;
    drawn.x[to] = placed.x[j];
    drawn.y[to] = placed.y[j];
    drawn.ink[to] = layer === FADED ? faded : inks[codes[cells[j]]];
  }
}

/** Colours of the page as it is now. */
function mapColours() {
  const style = getComputedStyle(document.documentElement);
  const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    page: of("--page"),
    ink: of("--ink"),
    muted: of("--muted"),
    accent: of("--accent"),
    line: of("--line"),
    faded: mapIsDark() ? "#283036" : "#e6e9eb",
    grey: mapIsDark() ? "#4a545a" : "#cdd3d6",
  };
}

/** A colour as a pixel of four bytes. @param {string} css `#rrggbb` */
function inkOf(css) {
  const value = /^#[0-9a-f]{6}$/i.test(css) ? parseInt(css.slice(1), 16) : 0x808080;
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

// ---- Drawing

function resizeMap() {
  const { frame, dots, above } = theMap;
  const width = Math.floor(frame.clientWidth),
    height = Math.floor(frame.clientHeight);
  if (width < 2 || height < 2) return;
  const ratio = Math.min(devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (width * height)));
  theMap.surface = { width, height, ratio };
  for (const canvas of [dots, above]) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  theMap.image = null;
  drawNow();
}

function drawSoon() {
  if (theMap.waits) return;
  theMap.waits = true;
  requestAnimationFrame(() => {
    theMap.waits = false;
    drawNow();
  });
}

let mapFrames = 0;

function drawNow() {
  const { placed, painting, surface, dots } = theMap;
  if (!placed || !painting || !surface.width) return;
  const began = performance.now();
  // The canvas is written by the processor, so it had better be in its memory.
  const context = dots.getContext("2d", { willReadFrequently: true });
  theMap.image ??= context.createImageData(dots.width, dots.height);
  drawDots(/** @type {ImageData} */ (theMap.image), surface);
  context.putImageData(theMap.image, 0, 0);
  theMap.texts = placeTexts(surface, theMap.above.getContext("2d"));
  drawAbove();
  performance.measure("cellferry:frame", { start: began, end: performance.now() });
  mapFrames += 1;
  if (mapFrames % 2000 === 0) performance.clearMeasures("cellferry:frame");
}

/** Pixels of a surface per unit of the map. @param {Surface} surface */
function scaleOf({ width, height }) {
  const { box } = /** @type {Placed} */ (theMap.placed);
  const room = (/** @type {number} */ side) => Math.max(side - 2 * Math.min(MAP_MARGIN, side / 8), 1);
  const wide = Math.max(box.right - box.left, 1),
    high = Math.max(box.bottom - box.top, 1);
  return Math.min(room(width) / wide, room(height) / high) * theMap.zoom;
}

/** @param {Surface} surface @param {number} x @param {number} y @returns {[number, number]} */
function onSurface(surface, x, y) {
  const scale = scaleOf(surface);
  return [(x - theMap.x) * scale + surface.width / 2, (y - theMap.y) * scale + surface.height / 2];
}

/** @param {number} x @param {number} y of the frame @returns {[number, number]} */
function onMap(x, y) {
  const scale = scaleOf(theMap.surface);
  return [
    (x - theMap.surface.width / 2) / scale + theMap.x,
    (y - theMap.surface.height / 2) / scale + theMap.y,
  ];
}

/**
 * Diameter of a dot in pixels of the canvas: what fits so many cells, more when one looks closer.
 * @param {Surface} surface
 */
function dotSize({ width, height, ratio }) {
  if (mapOfRows()) return 16 * ratio;
  // So a closer look draws fewer but larger dots, and costs no more.
  const fits = 0.42 * Math.sqrt((width * height) / Math.max(theMap.drawn.n, 1)) * Math.pow(theMap.zoom, 0.8);
  const large = Math.min(Math.max(Math.min(width, height) / 110, 4), 7.5);
  const most = Math.min(large * Math.pow(theMap.zoom, 0.3), 12);
  return Math.min(Math.max(fits, 1), most) * ratio;
}

/** @param {ImageData} image @param {Surface} surface */
function drawDots(image, surface) {
  const pixels = new Uint32Array(image.data.buffer);
  const colours = mapColours(),
    { drawn } = theMap;
  pixels.fill(inkOf(colours.page));
  const scale = scaleOf(surface) * surface.ratio;
  const view = { scale, x: image.width / 2 - theMap.x * scale, y: image.height / 2 - theMap.y * scale };
  const size = dotSize(surface);
  const sheet = { pixels, width: image.width, height: image.height };
  drawLayers(sheet, view, size, 0, drawn.rowFrom, drawn.ink);
  if (drawn.rowFrom === drawn.n) return;
  // The dots of the chosen row over larger dark ones: a line around its cells, whatever their colour.
  const rim = Math.max(2.6 * surface.ratio, size * 0.35);
  theMap.rim ??= new Uint32Array(drawn.ink.length);
  theMap.rim.fill(inkOf(colours.ink), drawn.rowFrom, drawn.n);
  drawLayers(sheet, view, size + rim, drawn.rowFrom, drawn.n, theMap.rim);
  drawLayers(sheet, view, size, drawn.rowFrom, drawn.n, drawn.ink);
}

/**
 * @param {Sheet} sheet @param {View} view @param {number} size diameter in pixels
 * @param {number} from @param {number} to of the drawn dots @param {Uint32Array} inks of all dots
 */
function drawLayers(sheet, view, size, from, to, inks) {
  const stamp = size < 2.6 ? null : stampOf(size);
  // In parts: browsers make a function fast once it was called some times, not while it runs.
  for (let at = from; at < to; at += PART) {
    const end = Math.min(at + PART, to);
    const x = theMap.drawn.x.subarray(at, end),
      y = theMap.drawn.y.subarray(at, end),
      ink = inks.subarray(at, end);
    if (stamp) roundDots(sheet, view, stamp, x, y, ink);
    else if (size < 1.5) smallestDots(sheet, view, x, y, ink);
    else squareDots(sheet, view, x, y, ink);
  }
}

/**
 * Dots of a pixel.
 * @param {Sheet} sheet @param {View} view @param {Uint16Array} x @param {Uint16Array} y
 * @param {Uint32Array} ink
 */
function smallestDots({ pixels, width, height }, view, x, y, ink) {
  const { scale, x: left, y: top } = view;
  for (let i = 0; i < x.length; i++) {
    const a = Math.floor(x[i] * scale + left),
      b = Math.floor(y[i] * scale + top);
    if (a >= 0 && b >= 0 && a < width && b < height) pixels[b * width + a] = ink[i];
  }
}

/**
 * Dots of 2 x 2 pixels.
 * @param {Sheet} sheet @param {View} view @param {Uint16Array} x @param {Uint16Array} y
 * @param {Uint32Array} ink
 */
function squareDots({ pixels, width, height }, view, x, y, ink) {
  const scale = view.scale,
    left = view.x - 0.5,
    top = view.y - 0.5;
  for (let i = 0; i < x.length; i++) {
    const a = Math.floor(x[i] * scale + left),
      b = Math.floor(y[i] * scale + top);
    if (a < 0 || b < 0 || a > width - 2 || b > height - 2) continue;
    const at = b * width + a;
    pixels[at] = ink[i];
    pixels[at + 1] = ink[i];
    pixels[at + width] = ink[i];
    pixels[at + width + 1] = ink[i];
  }
}

/**
 * @param {Sheet} sheet @param {View} view @param {Stamp} stamp
 * @param {Uint16Array} x @param {Uint16Array} y @param {Uint32Array} ink
 */
function roundDots(sheet, view, stamp, x, y, ink) {
  const reach = (stamp.side - 1) / 2;
  for (let i = 0; i < x.length; i++) {
    const a = Math.round(x[i] * view.scale + view.x) - reach,
      b = Math.round(y[i] * view.scale + view.y) - reach;
    if (a <= -stamp.side || b <= -stamp.side || a >= sheet.width || b >= sheet.height) continue;
    stampOne(sheet, stamp, a, b, ink[i]);
  }
}

/** @param {Sheet} sheet @param {Stamp} stamp @param {number} left @param {number} top @param {number} ink */
function stampOne({ pixels, width, height }, { side, cover }, left, top, ink) {
  const red = ink & 0xff00ff,
    green = ink & 0xff00;
  const right = Math.min(side, width - left),
    bottom = Math.min(side, height - top);
  for (let v = Math.max(0, -top); v < bottom; v++) {
    for (let u = Math.max(0, -left); u < right; u++) {
      const part = cover[v * side + u];
      if (part === 0) continue;
      const at = (top + v) * width + left + u;
      if (part === 256) {
        pixels[at] = ink;
        continue;
      }
      const below = pixels[at],
        rest = 256 - part;
      pixels[at] =
        (0xff000000 |
          ((((below & 0xff00ff) * rest + red * part) >>> 8) & 0xff00ff) |
          ((((below & 0xff00) * rest + green * part) >>> 8) & 0xff00)) >>>
        0;
    }
  }
}

/** How much of each pixel a round dot covers, in 256ths. @param {number} size @returns {Stamp} */
function stampOf(size) {
  const reach = Math.ceil(size / 2 - 0.25),
    side = 2 * reach + 1,
    fine = 4;
  const cover = new Uint16Array(side * side);
  for (let v = 0; v < side * fine; v++) {
    for (let u = 0; u < side * fine; u++) {
      const a = (u + 0.5) / fine - side / 2,
        b = (v + 0.5) / fine - side / 2;
      if (a * a + b * b <= (size * size) / 4)
        cover[Math.floor(v / fine) * side + Math.floor(u / fine)] += 256 / (fine * fine);
    }
  }
  return { side, cover };
}

/** Texts, the lasso and the ring around the cell below the pointer. */
function drawAbove() {
  const { above, surface, placed, hovered, path } = theMap;
  const context = above.getContext("2d"),
    colours = mapColours();
  context.setTransform(surface.ratio, 0, 0, surface.ratio, 0, 0);
  context.clearRect(0, 0, surface.width, surface.height);
  drawTexts(context, theMap.texts);
  if (placed && hovered >= 0) {
    const [x, y] = onSurface(surface, placed.x[hovered], placed.y[hovered]);
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.6;
    context.beginPath();
    context.arc(x, y, dotSize(surface) / surface.ratio / 2 + 2.5, 0, 7);
    context.stroke();
  }
  if (!path || path.length < 2) return;
  context.beginPath();
  for (const [x, y] of path) context.lineTo(...onSurface(surface, x, y));
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = colours.accent;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = colours.accent;
  context.lineWidth = 1.8;
  context.stroke();
}

// ---- Texts

/**
 * What a canvas shows as one line; marks that turn the direction of text have no place in it.
 * @param {string} text
 */
const oneLine = (text) =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, " ").trim();

/** @param {string} text @param {number} most */
function shortened(text, most) {
  const letters = Array.from(text);
  return letters.length <= most
    ? text
    : letters
        .slice(0, most - 1)
        .join("")
        .trimEnd() + "…";
}

/** @type {Map<string, number>} */
const textWidths = new Map();

/**
 * Where the texts go: those of the largest groups first, and none over another.
 * @param {Surface} surface @param {CanvasRenderingContext2D} context
 */
function placeTexts(surface, context) {
  const size = surface.width < 420 ? 11.5 : 12.5,
    height = Math.round(size * 1.35);
  /** @type {MapText[]} */
  const found = [];
  context.font = `600 ${size}px ${MAP_FONT}`;
  for (const { text: full, row, x, y } of wantedTexts(surface)) {
    const [left, top] = onSurface(surface, x, y);
    if (left < 0 || top < 0 || left > surface.width || top > surface.height) continue;
    const text = shortened(full, surface.width < 420 ? 20 : 30);
    const key = size + text;
    if (!textWidths.has(key)) textWidths.set(key, context.measureText(text).width);
    const width = /** @type {number} */ (textWidths.get(key)) + 4;
    /** @type {MapText} */
    const wish = { text, full, row, x: left, y: top, width, height, at: [left, top] };
    const placed = freePlace(wish, found, surface);
    if (placed) found.push(placed);
  }
  return found;
}

/** One text for each label and place: the chosen row first, then the largest. @param {Surface} surface */
function wantedTexts(surface) {
  const { placed, named } = theMap;
  if (!placed || named === "none") return [];
  const near = 110 / scaleOf(surface);
  /** @type {{text: string, row: number, x: number, y: number, n: number}[]} */
  const wanted = [];
  const largest = placed.middles
    .filter(({ row }) => !state.hidden.has(row))
    .sort((a, b) => b.n - a.n || a.row - b.row);
  for (const middle of largest) {
    const label = named === "cluster" ? index.rows[middle.row].cluster : labelOf(middle.row);
    const text = oneLine(label ?? "");
    if (!text) continue;
    const like = wanted.find((w) => w.text === text && Math.hypot(w.x - middle.x, w.y - middle.y) < near);
    if (!like) wanted.push({ text, ...middle });
    else if (middle.row === state.row) Object.assign(like, middle, { n: like.n });
  }
  const first = (/** @type {{row: number}} */ w) => Number(w.row === state.row);
  return wanted.sort((a, b) => first(b) - first(a) || b.n - a.n);
}

/** @param {MapText} wish @param {MapText[]} others @param {Surface} surface @returns {MapText | null} */
function freePlace(wish, others, surface) {
  const [x, y] = wish.at;
  // The dot of a row is not to be covered by its text.
  const tried = mapOfRows()
    ? TRIED_PLACES.filter(([, down]) => Math.abs(down) >= 1).map(([right, down]) => [right, down * 1.15])
    : TRIED_PLACES;
  for (const [right, down] of tried) {
    const one = { ...wish, x: x + right * (wish.width / 2 + 6), y: y + down * (wish.height + 1) };
    one.x = Math.min(Math.max(one.x, wish.width / 2 + 2), surface.width - wish.width / 2 - 2);
    one.y = Math.min(Math.max(one.y, wish.height / 2 + 2), surface.height - wish.height / 2 - 2);
    const free = others.every(
      (o) =>
        Math.abs(o.x - one.x) > (o.width + one.width) / 2 + 1 ||
        Math.abs(o.y - one.y) > (o.height + one.height) / 2,
    );
    if (free) return one;
  }
  return null;
}
const TRIED_PLACES = [
  [0, 0],
  [0, -1],
  [0, 1],
  [0.6, -0.6],
  [-0.6, -0.6],
  [0.6, 0.6],
  [-0.6, 0.6],
  [1, 0],
  [-1, 0],
  [0, -2],
  [0, 2],
  [1, -1.4],
  [-1, -1.4],
  [1, 1.4],
  [-1, 1.4],
  [0, -3],
  [0, 3],
];

/** @param {CanvasRenderingContext2D} context @param {MapText[]} texts */
function drawTexts(context, texts) {
  const colours = mapColours();
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const one of texts) {
    const size = one.height / 1.35;
    const [x, y] = one.at;
    if (Math.abs(one.y - y) > one.height * 1.5 || Math.abs(one.x - x) > one.width / 2 + 2) {
      context.strokeStyle = colours.muted;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(
        Math.min(Math.max(x, one.x - one.width / 2), one.x + one.width / 2),
        one.y + Math.sign(y - one.y) * one.height * 0.45,
      );
      context.stroke();
    }
    const chosen = one.row === state.row;
    context.font = `${chosen ? 750 : 600} ${size}px ${MAP_FONT}`;
    context.strokeStyle = colours.page;
    context.lineWidth = 4;
    context.strokeText(one.text, one.x, one.y);
    context.fillStyle = chosen ? colours.accent : colours.ink;
    context.fillText(one.text, one.x, one.y);
  }
}

// ---- Moving

/** @param {number} factor @param {number} [x] the place that stays, of the frame @param {number} [y] */
function zoomBy(factor, x = theMap.surface.width / 2, y = theMap.surface.height / 2) {
  if (!theMap.placed) return;
  const [a, b] = onMap(x, y);
  theMap.zoom = Math.min(Math.max(theMap.zoom * factor, 1), MOST_ZOOM);
  const [c, d] = onMap(x, y);
  moveTo(theMap.x + a - c, theMap.y + b - d);
}

/** Move by pixels of the frame. @param {number} right @param {number} down */
function moveBy(right, down) {
  if (!theMap.placed) return;
  const scale = scaleOf(theMap.surface);
  moveTo(theMap.x + right / scale, theMap.y + down / scale);
}

/** @param {number} x @param {number} y */
function moveTo(x, y) {
  const { left, right, top, bottom } = /** @type {Placed} */ (theMap.placed).box;
  const whole = theMap.zoom <= 1;
  theMap.x = whole ? (left + right) / 2 : Math.min(Math.max(x, left), right);
  theMap.y = whole ? (top + bottom) / 2 : Math.min(Math.max(y, top), bottom);
  // A map that cannot be moved leaves a finger to the page.
  theMap.frame.classList.toggle("zoomed", !whole);
  drawSoon();
}

function showAll() {
  theMap.zoom = 1;
  if (theMap.placed) moveTo(0, 0);
}

/** @param {KeyboardEvent} event */
function mapKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = 60;
  /** @type {Record<string, () => void>} */
  const keys = {
    "+": () => zoomBy(1.5),
    "=": () => zoomBy(1.5),
    "-": () => zoomBy(1 / 1.5),
    0: showAll,
    ArrowLeft: () => moveBy(-step, 0),
    ArrowRight: () => moveBy(step, 0),
    ArrowUp: () => moveBy(0, -step),
    ArrowDown: () => moveBy(0, step),
    Escape: clearChosen,
  };
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
}

/** @param {HTMLElement} frame */
function listenToPointer(frame) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let moved = 0;
  const at = (/** @type {MouseEvent} */ event) => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left - frame.clientLeft, y: event.clientY - box.top - frame.clientTop };
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !theMap.placed) return;
    frame.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    moved = 0;
    const { x, y } = at(event);
    theMap.path =
      down.size === 1 && !mapOfRows() && (theMap.lassoing || event.shiftKey) ? [onMap(x, y)] : null;
  });
  frame.addEventListener("pointermove", (event) => {
    const now = at(event),
      before = down.get(event.pointerId);
    if (!before) return hoverAt(now.x, now.y);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (theMap.path) {
      theMap.path.push(onMap(now.x, now.y));
      drawAbove();
    } else if (down.size === 1) moveBy(before.x - now.x, before.y - now.y);
    else pinch(down, event.pointerId, now);
    down.set(event.pointerId, now);
    hoverAt(-1, -1);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId)) return;
    const { x, y } = at(event),
      { path } = theMap;
    theMap.path = null;
    if (event.type === "pointerup" && path && moved > 8) chooseInside(path);
    else if (event.type === "pointerup" && moved < 5) chooseAt(x, y);
    else if (path) drawAbove();
  };
  frame.addEventListener("pointerup", up);
  frame.addEventListener("pointercancel", up);
  frame.addEventListener("pointerleave", () => hoverAt(-1, -1));
  frame.addEventListener(
    "wheel",
    (event) => {
      // At its widest, turning on scrolls the page.
      if (event.deltaY > 0 && theMap.zoom <= 1 && !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      const { x, y } = at(event);
      zoomBy(
        Math.exp(Math.max(Math.min(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022), 0.7), -0.7)),
        x,
        y,
      );
    },
    { passive: false },
  );
}

/**
 * @param {Map<number, {x: number, y: number}>} down @param {number} id @param {{x: number, y: number}} now
 */
function pinch(down, id, now) {
  const before = /** @type {{x: number, y: number}} */ (down.get(id));
  const other = [...down].find(([key]) => key !== id)?.[1];
  if (!other) return;
  const apart = (/** @type {{x: number, y: number}} */ p) =>
    Math.max(Math.hypot(p.x - other.x, p.y - other.y), 1);
  moveBy((before.x - now.x) / 2, (before.y - now.y) / 2);
  zoomBy(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
}

// ---- Pointing and choosing

/**
 * The cell nearest to a place of the frame: where it is in `placed.cells`, or -1.
 * @param {number} x @param {number} y
 */
function cellAt(x, y) {
  const { placed, surface } = theMap;
  if (!placed) return -1;
  const [a, b] = onMap(x, y);
  const reach = Math.max(REACH, dotSize(surface) / surface.ratio / 2 + 2) / scaleOf(surface);
  const last = (1 << FIELD_BITS) - 1,
    shift = 16 - FIELD_BITS;
  const field = (/** @type {number} */ v) => Math.min(Math.max(v >> shift, 0), last);
  const hidden = hiddenRows(),
    { shown } = state;
  let best = -1,
    least = reach * reach;
  for (let v = field(b - reach); v <= field(b + reach); v++) {
    for (let f = (v << FIELD_BITS) | field(a - reach); f <= ((v << FIELD_BITS) | field(a + reach)); f++) {
      for (let m = placed.fields[f]; m < placed.fields[f + 1]; m++) {
        const j = placed.members[m],
          cell = placed.cells[j];
        const apart = (placed.x[j] - a) ** 2 + (placed.y[j] - b) ** 2;
        if (apart < least && !hidden[placed.rows[cell]] && (!shown || shown[cell])) {
          best = j;
          least = apart;
        }
      }
    }
  }
  return best;
}

/** @param {number} x @param {number} y */
const textAt = (x, y) =>
  theMap.texts.find((t) => Math.abs(t.x - x) < t.width / 2 && Math.abs(t.y - y) < t.height / 2);

/** @param {number} x @param {number} y of the frame; negative: nowhere */
function hoverAt(x, y) {
  const { tip, placed, surface } = theMap;
  const found = x < 0 || !placed ? -1 : cellAt(x, y);
  const text = found < 0 && x >= 0 ? textAt(x, y) : undefined;
  if (found !== theMap.hovered) {
    theMap.hovered = found;
    drawAbove();
  }
  tip.hidden = found < 0 && !text;
  if (tip.hidden || !placed) return;
  tip.replaceChildren(
    ...(found >= 0 ? aboutCell(placed.cells[found]) : [element("b", {}, /** @type {MapText} */ (text).full)]),
  );
  const wide = tip.offsetWidth,
    high = tip.offsetHeight;
  tip.style.left = `${Math.max(Math.min(x + 14, surface.width - wide - 4), 4)}px`;
  tip.style.top = `${y + 18 + high > surface.height ? Math.max(y - high - 12, 4) : y + 18}px`;
}

/** What the tooltip says of a cell. @param {number} cell @returns {Node[]} */
function aboutCell(cell) {
  const { placed, painting } = theMap;
  const row = /** @type {Placed} */ (placed).rows[cell];
  const given = index.rows[row];
  const lines = [element("b", {}, given ? (labelOf(row) ?? "no label") : `in no ${index.noun}`)];
  if (given && index.noun === "cluster") lines.push(element("span", {}, `cluster ${given.cluster}`));
  if (painting && painting.says) lines.push(element("span", {}, `${painting.title}: ${painting.says(cell)}`));
  return lines;
}

/** Choose the row of what is at a place. @param {number} x @param {number} y */
function chooseAt(x, y) {
  const { placed } = theMap;
  const found = cellAt(x, y);
  const row = found >= 0 && placed ? placed.rows[placed.cells[found]] : textAt(x, y)?.row;
  if (row === undefined || !index.rows[row]) return;
  change({ row });
  say(`${index.rows[row].cluster}: ${labelOf(row) ?? "no label"}`);
}

/** @param {boolean} onNow */
function lassoOn(onNow) {
  theMap.lassoing = onNow;
  theMap.frame.classList.toggle("lassoing", onNow);
  document.getElementById("map-lasso")?.setAttribute("aria-pressed", String(onNow));
}

function clearChosen() {
  lassoOn(false);
  if (state.chosen) change({ chosen: null });
}

/**
 * Choose the cells inside of a closed line that are drawn.
 * @param {[number, number][]} path in coordinates of the map
 */
function chooseInside(path) {
  const began = performance.now();
  const { placed } = theMap;
  const n = index.cells ? index.cells.n : 0;
  if (!placed || !n) return;
  const chosen = new Uint8Array(n),
    hidden = hiddenRows(),
    { shown } = state;
  const mask = maskOf(path);
  let count = 0;
  for (let j = 0; j < placed.cells.length; j++) {
    const cell = placed.cells[j];
    if (!mask(placed.x[j], placed.y[j]) || hidden[placed.rows[cell]] || (shown && !shown[cell])) continue;
    chosen[cell] = 1;
    count += 1;
  }
  performance.measure("cellferry:lasso", { start: began, end: performance.now() });
  lassoOn(false);
  if (count) return change({ chosen });
  drawAbove();
  say("No cell is inside.");
}

/**
 * Whether a place is inside. A drawing of the area answers for nearly all of them at once; near its
 * border it is worked out.
 * @param {[number, number][]} path
 * @returns {(x: number, y: number) => boolean}
 */
function maskOf(path) {
  const xs = path.map((p) => p[0]),
    ys = path.map((p) => p[1]);
  const left = Math.min(...xs),
    top = Math.min(...ys);
  const scale = (MASK_SIDE - 8) / Math.max(Math.max(...xs) - left, Math.max(...ys) - top, 1e-9);
  const canvas = element("canvas", { width: MASK_SIDE, height: MASK_SIDE });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (const [x, y] of path) context.lineTo((x - left) * scale + 4, (y - top) * scale + 4);
  context.closePath();
  context.fillStyle = "#f00";
  context.fill();
  context.strokeStyle = "#0f0";
  context.lineWidth = 3;
  context.stroke();
  const pixels = new Uint32Array(context.getImageData(0, 0, MASK_SIDE, MASK_SIDE).data.buffer);
  return (x, y) => {
    const a = Math.floor((x - left) * scale + 4),
      b = Math.floor((y - top) * scale + 4);
    if (a < 0 || b < 0 || a >= MASK_SIDE || b >= MASK_SIDE) return false;
    const pixel = pixels[b * MASK_SIDE + a];
    // Empty, or wholly red, is sure; all else was touched by the border or by rounding.
    return pixel !== 0 && (pixel === 0xff0000ff || windsAround(path, x, y));
  };
}

/**
 * Whether a closed line goes round a point.
 * @param {[number, number][]} path @param {number} x @param {number} y
 */
function windsAround(path, x, y) {
  let turns = 0;
  for (let i = 0, last = path[path.length - 1]; i < path.length; last = path[i++]) {
    const [a, b] = last,
      [c, d] = path[i];
    if (b <= y === d <= y) continue;
    const side = (c - a) * (y - b) - (x - a) * (d - b);
    if (d > b && side > 0) turns += 1;
    else if (d < b && side < 0) turns -= 1;
  }
  return turns !== 0;
}

/** @param {Uint8Array | null} mask @param {number} all */
function countOf(mask, all) {
  if (!mask) return all;
  let n = 0;
  for (let i = 0; i < mask.length; i++) n += mask[i];
  return n;
}

function sayChosen() {
  const { selection } = theMap;
  selection.hidden = !state.chosen;
  selection.replaceChildren();
  if (!state.chosen) return;
  const n = countOf(state.chosen, 0);
  const text = `${whole(n)} cell${n === 1 ? "" : "s"} chosen`;
  selection.append(
    element("b", {}, text),
    " ",
    element("button", { type: "button", onclick: clearChosen }, "Clear"),
  );
  say(text);
}

// ---- Words

/** @param {string} text */
function noteOnMap(text) {
  theMap.note.textContent = text;
  say(text);
}

/** Say what is drawn, below the picture and to those who do not see it. */
function describeMap() {
  const { placed, painting } = theMap;
  if (!placed || !painting) return;
  const n = placed.cells.length;
  const what = mapOfRows()
    ? `${whole(n)} ${index.noun}s by the ${placed.name}`
    : `${whole(n)} cells, ${placed.name}`;
  const groups = painting.kind === "category" ? painting.entries.filter((e) => e.n > 0) : [];
  const largest = groups
    .slice()
    .sort((a, b) => b.n - a.n)
    .slice(0, 5)
    .map((e) => `${e.name} ${whole(e.n)}`);
  const of = groups.length
    ? ` ${groups.length} groups; the largest: ${largest.join(", ")}.`
    : ` ${rangeOf(painting)}`;
  theMap.dots.setAttribute("aria-label", `Map of ${what}, coloured by ${painting.title}.${of}`);
  theMap.note.textContent = n
    ? [`${what}, coloured by ${painting.title}.`, ...notesOnCells()].join(" ")
    : "No cell has coordinates.";
  say(`Coloured by ${painting.title}.`);
}

/** @returns {string[]} */
function notesOnCells() {
  const { cells } = index;
  if (!cells)
    return [
      `${index.noun === "cluster" ? "Clusters" : "Labels"} that are near each other have similar markers.`,
    ];
  const { missing } = cells.embeddings[state.embedding];
  return [
    cells.all ? "" : `A sample of the ${whole(index.n_cells ?? cells.n)} cells of the object.`,
    missing
      ? `${whole(missing)} cell${missing === 1 ? " has" : "s have"} no coordinates and cannot be drawn.`
      : "",
  ].filter(Boolean);
}

// ---- Files

/** The map as it is seen, larger, with its legend: what all files show. */
function mapForFile() {
  const { width, height } = theMap.surface;
  const factor = Math.max(900 / width, 1);
  /** @type {Surface} */
  const surface = { width: Math.round(width * factor), height: Math.round(height * factor), ratio: 2 };
  const legend = legendShapes(surface.width + 24, mapColours());
  return {
    surface,
    legend,
    width: surface.width + 24 + legend.width,
    height: Math.max(surface.height, legend.height),
  };
}

function mapFileName() {
  const said = /** @type {Painting} */ (theMap.painting).title.replace(/[^\w.-]+/g, "_").slice(0, 60);
  return `map_${said || "cells"}`;
}

function savePng() {
  if (!theMap.placed || !theMap.painting) return;
  const { surface, legend, width, height } = mapForFile();
  const canvas = canvasOf({ width, height, shapes: legend.shapes }, surface.ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(surface.width * surface.ratio, surface.height * surface.ratio);
  drawDots(image, surface);
  context.putImageData(image, 0, 0);
  context.setTransform(surface.ratio, 0, 0, surface.ratio, 0, 0);
  drawTexts(context, placeTexts(surface, context));
  savePicture(canvas, mapFileName());
}

function saveSvg() {
  if (!theMap.placed || !theMap.painting) return;
  if (theMap.drawn.n > MOST_IN_SVG) {
    return noteOnMap(
      `An SVG of ${whole(theMap.drawn.n)} cells is more than most programs can open: from ` +
        `${whole(MOST_IN_SVG)} cells on the map is saved as PNG only.`,
    );
  }
  const { surface, legend, width, height } = mapForFile();
  const context = element("canvas").getContext("2d");
  const shapes = [...dotShapes(surface), ...textShapes(placeTexts(surface, context)), ...legend.shapes];
  download(`${mapFileName()}.svg`, svgOf({ width, height, shapes }));
}

/** One path for each colour. @param {Surface} surface @returns {Shape[]} */
function dotShapes(surface) {
  const { drawn } = theMap;
  /** @type {Map<number, string[]>} */
  const paths = new Map();
  for (let i = 0; i < drawn.n; i++) {
    const [x, y] = onSurface(surface, drawn.x[i], drawn.y[i]);
    if (x < 0 || y < 0 || x > surface.width || y > surface.height) continue;
    const found = paths.get(drawn.ink[i]) || [];
    paths.set(drawn.ink[i], found);
    found.push(`M${x.toFixed(1)} ${y.toFixed(1)}h0`);
  }
  const hex = (/** @type {number} */ v) => (v & 0xff).toString(16).padStart(2, "0");
  return [...paths].map(([ink, path]) => ({
    kind: "dots",
    d: path.join(""),
    size: dotSize(surface) / surface.ratio,
    fill: `#${hex(ink)}${hex(ink >> 8)}${hex(ink >> 16)}`,
  }));
}

/** @param {MapText[]} texts @returns {Shape[]} */
function textShapes(texts) {
  const colours = mapColours();
  return texts.map((t) => ({
    kind: "text",
    x: t.x,
    y: t.y,
    text: t.text,
    size: t.height / 1.35,
    weight: 600,
    anchor: "middle",
    fill: colours.ink,
    halo: colours.page,
  }));
}
