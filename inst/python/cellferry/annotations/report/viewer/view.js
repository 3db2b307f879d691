// The state of the map, and which part of it is seen.

/** Room at the border, in which labels may hang over. */
const MAP_MARGIN = 28;

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
  /** @type {MapLabel[]} */ labels: [],
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
