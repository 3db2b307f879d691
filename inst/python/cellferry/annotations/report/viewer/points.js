// The dots of the map: in which order and colour they are drawn, and their pixels.

/**
 * @typedef {{width: number, height: number, ratio: number}} Surface in pixels of the page, and how many of a
 *   canvas each has
 * @typedef {{pixels: Uint32Array, width: number, height: number}} Sheet what is drawn on
 * @typedef {{scale: number, x: number, y: number}} View pixels per unit of the map, and where its corner is
 * @typedef {{side: number, cover: Uint16Array}} Stamp a round dot
 */

/** A group with less than this share of the cells is drawn above the others. */
const SMALL_GROUP = 0.05;
/** Dots that are drawn in one go. */
const PART = 16_384;

/** Layers below and above those of the groups. */
const FADED = 0,
  GREY = 1,
  COMMON = 2,
  CHOSEN_ROW = 254,
  NOT_DRAWN = 255;

/** A colour as a pixel of four bytes. @param {string} css `#rrggbb` */
function inkOf(css) {
  const value = /^#[0-9a-f]{6}$/i.test(css) ? parseInt(css.slice(1), 16) : 0x808080;
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** Pixel and layer of each code. @param {Painting} painting @param {Uint32Array} cells that are drawn */
function inksOf(painting, cells) {
  const grey = inkOf(pageColours().grey);
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
  const faded = inkOf(pageColours().faded);
  for (let j = 0; j < n; j++) {
    const layer = layers[j];
    if (layer === NOT_DRAWN) continue;
    const to = starts[layer]++;
    drawn.x[to] = placed.x[j];
    drawn.y[to] = placed.y[j];
    drawn.ink[to] = layer === FADED ? faded : inks[codes[cells[j]]];
  }
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
  const colours = pageColours(),
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

/** The dots by their colour. @param {Surface} surface @returns {Shape[]} */
function dotShapes(surface) {
  const { drawn } = theMap;
  /** @type {Map<number, [number, number][]>} */
  const groups = new Map();
  for (let i = 0; i < drawn.n; i++) {
    const [x, y] = onSurface(surface, drawn.x[i], drawn.y[i]);
    if (x < 0 || y < 0 || x > surface.width || y > surface.height) continue;
    const found = groups.get(drawn.ink[i]) || [];
    groups.set(drawn.ink[i], found);
    found.push([x, y]);
  }
  const hex = (/** @type {number} */ v) => (v & 0xff).toString(16).padStart(2, "0");
  const size = dotSize(surface) / surface.ratio;
  return [...groups].map(([ink, points]) => ({
    kind: "dots",
    points,
    size,
    fill: `#${hex(ink)}${hex(ink >> 8)}${hex(ink >> 16)}`,
  }));
}
