// The labels on the map: where they go, so that none covers another.

/**
 * @typedef {{text: string, full: string, row: number, x: number, y: number, width: number, height: number,
 *   at: [number, number]}} MapLabel a text, the middle of its box, and what it names
 */

/** Height of a line, of the size of its text. */
const LINE = 1.35;

/** Those of the largest groups first. @param {Surface} surface */
function placeLabels(surface) {
  const isSmall = surface.width < 420;
  const size = isSmall ? 11.5 : 12.5,
    height = Math.round(size * LINE);
  /** @type {MapLabel[]} */
  const found = [];
  for (const { text: full, row, x, y } of wantedLabels(surface)) {
    const [left, top] = onSurface(surface, x, y);
    if (left < 0 || top < 0 || left > surface.width || top > surface.height) continue;
    const text = shortened(full, isSmall ? 20 : 30);
    const width = textWidth(text, `600 ${size}px ${PAGE_FONT}`) + 4;
    /** @type {MapLabel} */
    const wish = { text, full, row, x: left, y: top, width, height, at: [left, top] };
    const placed = freePlace(wish, found, surface);
    if (placed) found.push(placed);
  }
  return found;
}

/** One text for each label and place: the chosen row first, then the largest. @param {Surface} surface */
function wantedLabels(surface) {
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

/** @param {MapLabel} wish @param {MapLabel[]} others @param {Surface} surface @returns {MapLabel | null} */
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

/** Each with a line to what it names, where that is not near. @param {MapLabel[]} labels @returns {Shape[]} */
function labelShapes(labels) {
  const colours = pageColours();
  return labels.flatMap((one) => {
    const [x, y] = one.at;
    const chosen = one.row === state.row;
    /** @type {Shape} */
    const text = {
      kind: "text",
      x: one.x,
      y: one.y,
      text: one.text,
      size: one.height / LINE,
      weight: chosen ? 750 : 600,
      anchor: "middle",
      fill: chosen ? colours.accent : colours.ink,
      halo: colours.page,
    };
    const near = Math.abs(one.y - y) <= one.height * 1.5 && Math.abs(one.x - x) <= one.width / 2 + 2;
    if (near) return [text];
    const side = Math.min(Math.max(x, one.x - one.width / 2), one.x + one.width / 2);
    const edge = one.y + Math.sign(y - one.y) * one.height * 0.45;
    return [
      {
        kind: "path",
        points: [
          [x, y],
          [side, edge],
        ],
        fill: "none",
        stroke: colours.muted,
      },
      text,
    ];
  });
}

/** @param {number} x @param {number} y */
const labelAt = (x, y) =>
  theMap.labels.find((t) => Math.abs(t.x - x) < t.width / 2 && Math.abs(t.y - y) < t.height / 2);
