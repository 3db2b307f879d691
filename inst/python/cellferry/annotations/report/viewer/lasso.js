// Cells that are chosen by a line around them.

const MASK_SIDE = 1024;

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

function sayChosen() {
  const { selection } = theMap;
  selection.hidden = !state.chosen;
  selection.replaceChildren();
  if (!state.chosen) return;
  const text = `${counted(cellsIn(state.chosen), "cell")} chosen`;
  selection.append(
    element("b", {}, text),
    " ",
    element("button", { type: "button", onclick: clearChosen }, "Clear"),
  );
  say(text);
}
