// What a pointer and the keys do on the map: moving, zooming, pointing, choosing a row.

const MOST_ZOOM = 300;
/** How near a pointer must be to a dot, in pixels of the page. */
const REACH = 9;

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

// ---- Pointing

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

/** @param {number} x @param {number} y of the frame; negative: nowhere */
function hoverAt(x, y) {
  const { tip, placed, surface } = theMap;
  const found = x < 0 || !placed ? -1 : cellAt(x, y);
  const text = found < 0 && x >= 0 ? labelAt(x, y) : undefined;
  if (found !== theMap.hovered) {
    theMap.hovered = found;
    drawAbove();
  }
  tip.hidden = found < 0 && !text;
  if (tip.hidden || !placed) return;
  tip.replaceChildren(
    ...(found >= 0
      ? aboutCell(placed.cells[found])
      : [element("b", {}, /** @type {MapLabel} */ (text).full)]),
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
  const row = found >= 0 && placed ? placed.rows[placed.cells[found]] : labelAt(x, y)?.row;
  if (row === undefined || !index.rows[row]) return;
  change({ row });
  say(`${index.rows[row].cluster}: ${labelOf(row) ?? "no label"}`);
}
