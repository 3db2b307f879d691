// The map: every cell a dot on a canvas, labels above it; its frame, its words, its files.

/** Pixels of the canvas: a larger one is drawn coarser, so that moving it stays smooth. */
const MOST_PIXELS = 5_000_000;
/** Cells of an SVG: a file with more is too much for most programs. */
const MOST_IN_SVG = 50_000;

/** Build the map, if there is something to draw. */
function startMap() {
  const section = document.getElementById("map");
  // Rows that have no marker in common have places that mean nothing.
  const alike = index.places !== null && index.rows.some((row) => row.near.length > 0);
  const there = index.cells ? index.cells.n > 0 && index.cells.embeddings.length > 0 : alike;
  if (!section || !there) return;
  section.hidden = false;
  if (!readsBlocks && index.cells) {
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
  onScheme(recolourNow);
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
    zoomButton("+", "Zoom in", () => zoomBy(1.6)),
    zoomButton("−", "Zoom out", () => zoomBy(1 / 1.6)),
    zoomButton("All", "Show all", showAll),
  );
  const files = element(
    "div",
    { class: "map-buttons" },
    fileButton("PNG", "the map", saveMapPng),
    fileButton("SVG", "the map", saveMapSvg),
  );
  return element("div", { class: "map-tools" }, ...colourTools(), embedding, texts, buttons, files);
}

/** @param {string} text @param {string} name @param {() => void} call */
const zoomButton = (text, name, call) =>
  element("button", { type: "button", title: name, "aria-label": name, onclick: call }, text);

/** @param {"label" | "cluster" | "none"} kind */
function nameBy(kind) {
  theMap.named = kind;
  drawSoon();
}

// ---- Reading and drawing

/** Read the embedding and draw it. */
async function placeCells() {
  const load = ++theMap.loads;
  let placed;
  try {
    placed = mapOfRows() ? placedRows() : await placedCells(state.embedding);
  } catch (error) {
    return noteOnMap(reasonOf(error, "The places of the cells cannot be read."));
  }
  if (load !== theMap.loads) return;
  theMap.placed = placed;
  theMap.hovered = -1;
  const { left, right, top, bottom } = placed.box;
  Object.assign(theMap, { x: (left + right) / 2, y: (top + bottom) / 2, zoom: 1 });
  await repaint();
}

/** Get the colours and draw; what was asked for later wins. */
async function repaint() {
  const turn = ++theMap.turn;
  const began = performance.now();
  let painting;
  try {
    painting = await paintingOf(state.colouring);
  } catch (error) {
    return noteOnMap(reasonOf(error, "These values cannot be read."));
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
  theMap.labels = placeLabels(surface);
  drawAbove();
  performance.measure("cellferry:frame", { start: began, end: performance.now() });
  mapFrames += 1;
  if (mapFrames % 2000 === 0) performance.clearMeasures("cellferry:frame");
}

/** Labels, the lasso and the ring around the cell below the pointer. */
function drawAbove() {
  const { above, surface, placed, hovered, path } = theMap;
  const context = above.getContext("2d"),
    colours = pageColours();
  context.setTransform(surface.ratio, 0, 0, surface.ratio, 0, 0);
  context.clearRect(0, 0, surface.width, surface.height);
  for (const shape of labelShapes(theMap.labels)) paintShape(context, shape, PAGE_FONT);
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

/**
 * The map as it is seen, larger, with its legend.
 * @param {number} ratio pixels per unit
 * @returns {{scene: Scene, surface: Surface}}
 */
function mapForFile(ratio) {
  const painting = /** @type {Painting} */ (theMap.painting);
  const { width, height } = theMap.surface;
  const factor = Math.max(900 / width, 1);
  const surface = { width: Math.round(width * factor), height: Math.round(height * factor), ratio };
  const legend = legendShapes(surface.width + 24);
  const scene = {
    name: `map_${fileName(painting.title) || "cells"}`,
    title: theMap.dots.getAttribute("aria-label"),
    text: theMap.note.textContent,
    width: surface.width + 24 + legend.width,
    height: Math.max(surface.height, legend.height),
    shapes: [...labelShapes(placeLabels(surface)), ...legend.shapes],
    table: [],
    background: pageColours().page,
    font: PAGE_FONT,
    scale: ratio,
  };
  return { scene, surface };
}

/** Any number of cells, as pixels below the texts. */
function saveMapPng() {
  if (!theMap.placed || !theMap.painting) return;
  const { scene, surface } = mapForFile(2);
  savePng(scene, (context, scale) => {
    const [wide, high] = [Math.round(surface.width * scale), Math.round(surface.height * scale)];
    const image = context.createImageData(wide, high);
    drawDots(image, { ...surface, ratio: scale });
    context.putImageData(image, 0, 0);
  });
}

function saveMapSvg() {
  if (!theMap.placed || !theMap.painting) return;
  if (theMap.drawn.n > MOST_IN_SVG) {
    return noteOnMap(
      `An SVG of ${whole(theMap.drawn.n)} cells is more than most programs can open: from ` +
        `${whole(MOST_IN_SVG)} cells on the map is saved as PNG only.`,
    );
  }
  const { scene, surface } = mapForFile(1);
  saveSvg({ ...scene, shapes: [...dotShapes(surface), ...scene.shapes] });
}
