// Pictures as lists of shapes: SVG on the page and in files, and a canvas for PNG.
//
// The page's policy allows no image, so that an SVG cannot be painted on a canvas by the browser.

/**
 * @typedef {number | [string, string] | string} Tone
 *   a number between 0 and 1 is a place on the ramp; two colours are those of a row, light and dark; a text
 *   is a name of `PAPER`, which the page has as a variable, or a colour
 * @typedef {{kind: "circle", x: number, y: number, r: number, fill: Tone, stroke?: Tone, dash?: boolean,
 *      title?: string}
 *   | {kind: "rect", x: number, y: number, w: number, h: number, fill: Tone, title?: string}
 *   | {kind: "path", points: [number, number][], closed?: boolean, fill: Tone, stroke?: Tone, title?: string}
 *   | {kind: "dots", points: [number, number][], size: number, fill: Tone, title?: string}
 *   | {kind: "text", x: number, y: number, text: string, fill?: Tone, size?: number, weight?: number,
 *      anchor?: "start" | "middle" | "end", italic?: boolean, turn?: number, halo?: Tone, title?: string
 *   }} Shape `y` of a text is its middle
 * @typedef {object} Scene
 * @property {string} name of its files
 * @property {string} title
 * @property {string} text its caption
 * @property {number} width
 * @property {number} height
 * @property {Shape[]} shapes
 * @property {Table} table what is drawn, in numbers
 * @property {Tone} [background] of files
 * @property {string} [font]
 * @property {number} [scale] pixels of a PNG per unit
 */

const PAPER = /** @type {Record<string, string>} */ ({
  ink: "#1c2226",
  muted: "#5c666d",
  line: "#dde1e3",
  page: "#ffffff",
  panel: "#f6f7f7",
  accent: "#0b5f69",
  failed: "#a3262a",
  none: "none",
});
/** Ends of the ramp on paper; `--ramp-low` and `--ramp-high` are those of the page. */
const PAPER_RAMP = { low: [221, 230, 233], high: [9, 74, 83] };
/** Of pictures, wherever they are looked at. */
const PICTURE_FONT = '"Liberation Sans", Arial, Helvetica, sans-serif';
/** Of the page. */
const PAGE_FONT =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif';
const TEXT_PX = 12;
const HALO_PX = 4;
/** Of a text's size: from its middle down to the line that it stands on. */
const TO_BASELINE = 0.35;
/** Sides that canvases have everywhere. */
const LONGEST_SIDE = 16000;

// ---- Colours and widths

/** @param {Tone} tone */
function paperColour(tone) {
  if (Array.isArray(tone)) return tone[0];
  if (typeof tone === "string") return PAPER[tone] ?? tone;
  const mixed = PAPER_RAMP.low.map((low, i) => Math.round(low + (PAPER_RAMP.high[i] - low) * tone));
  return `rgb(${mixed.join(",")})`;
}

/** Colours of the page follow dark mode and paper without being drawn again. @param {Tone} tone */
function pageColour(tone) {
  if (Array.isArray(tone)) return "var(--row-tone)";
  if (typeof tone === "string") return tone in PAPER && tone !== "none" ? `var(--${tone})` : tone;
  return `color-mix(in srgb, var(--ramp-high) ${(100 * tone).toFixed(1)}%, var(--ramp-low))`;
}

const sceneRuler = /** @type {CanvasRenderingContext2D} */ (
  document.createElement("canvas").getContext("2d")
);
/** @type {Map<string, number>} */
const textWidths = new Map();
const MOST_WIDTHS = 20_000;

/** @param {string} text @param {string} [font] */
function textWidth(text, font = `600 ${TEXT_PX}px ${PICTURE_FONT}`) {
  const key = font + text;
  let width = textWidths.get(key);
  if (width !== undefined) return width;
  sceneRuler.font = font;
  width = sceneRuler.measureText(text).width;
  if (textWidths.size > MOST_WIDTHS) textWidths.clear();
  textWidths.set(key, width);
  return width;
}

/** Text that fits into a width. @param {string} text @param {number} room */
const fittingText = (text, room) => shortened(text, room, textWidth);

// ---- SVG

/** @param {number} n */
const px = (n) => Math.round(n * 100) / 100;

/** @param {Shape & {kind: "path" | "dots"}} shape */
function pathOf(shape) {
  if (shape.kind === "dots")
    return shape.points.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
  const line = shape.points.map(([x, y], i) => `${i ? "L" : "M"}${px(x)} ${px(y)}`).join("");
  return line + (shape.closed ? "Z" : "");
}

/** @param {Shape} shape */
function placeOf(shape) {
  switch (shape.kind) {
    case "circle":
      return { cx: px(shape.x), cy: px(shape.y), r: px(shape.r) };
    case "rect":
      return { x: px(shape.x), y: px(shape.y), width: px(shape.w), height: px(shape.h) };
    case "text":
      return { x: px(shape.x), y: px(shape.y + TO_BASELINE * (shape.size ?? TEXT_PX)) };
    default:
      return { d: pathOf(shape) };
  }
}

/** What is filled, and what has a line. @param {Shape} shape @returns {{fill: Tone, stroke?: Tone}} */
function tonesOf(shape) {
  if (shape.kind === "dots") return { fill: "none", stroke: shape.fill };
  const stroke = shape.kind === "text" ? shape.halo : shape.kind === "rect" ? undefined : shape.stroke;
  return { fill: shape.fill ?? "ink", stroke };
}

/** @param {Shape} shape @returns {Record<string, any>} */
function looksOf(shape) {
  if (shape.kind === "circle") return { "stroke-dasharray": shape.dash ? "2 2" : null };
  if (shape.kind === "dots") return { "stroke-width": px(shape.size), "stroke-linecap": "round" };
  if (shape.kind !== "text") return {};
  const halo = { "stroke-width": HALO_PX, "stroke-linejoin": "round", "paint-order": "stroke" };
  return {
    "font-size": shape.size,
    "text-anchor": shape.anchor ?? "start",
    "font-weight": shape.weight,
    "font-style": shape.italic ? "italic" : null,
    transform: shape.turn ? `rotate(${shape.turn} ${px(shape.x)} ${px(shape.y)})` : null,
    ...(shape.halo === undefined ? {} : halo),
  };
}

/** @param {Shape} shape @param {boolean} paper */
function shapeSvg(shape, paper) {
  const { fill, stroke } = tonesOf(shape);
  /** @type {Record<string, any>} */
  const look = paper
    ? { fill: paperColour(fill), stroke: stroke === undefined ? null : paperColour(stroke) }
    : {};
  if (!paper) {
    look.style = `fill:${pageColour(fill)}${stroke === undefined ? "" : `;stroke:${pageColour(stroke)}`}`;
    if (Array.isArray(fill)) {
      look.style += `;--row-light:${fill[0]};--row-dark:${fill[1]}`;
      look.class = "of-row";
    }
  }
  const name = shape.kind === "dots" ? "path" : shape.kind;
  const made = element(name, { ...placeOf(shape), ...looksOf(shape), ...look });
  if (shape.kind === "text") made.append(oneLine(shape.text));
  if (shape.title) made.append(svgTitle(shape.title));
  return made;
}

/** @param {string} text @param {string} [id] */
function svgTitle(text, id) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "title");
  if (id) made.id = id;
  made.append(oneLine(text));
  return made;
}

/** What lies below a picture in a file. @param {Scene} scene @returns {Shape} */
const sheetOf = ({ width, height, background = "page" }) => ({
  kind: "rect",
  x: 0,
  y: 0,
  w: width,
  h: height,
  fill: background,
});

let pictureNumber = 0;

/** @param {Scene} scene @param {boolean} paper */
function sceneSvg(scene, paper) {
  const id = `picture-${++pictureNumber}`;
  const { width, height } = scene;
  return element(
    "svg",
    {
      viewBox: `0 0 ${px(width)} ${px(height)}`,
      width: px(width),
      height: px(height),
      role: "img",
      "aria-labelledby": `${id}-title ${id}-text`,
      "font-family": scene.font ?? PICTURE_FONT,
      "font-size": TEXT_PX,
    },
    svgTitle(scene.title, `${id}-title`),
    element("desc", { id: `${id}-text` }, oneLine(scene.text)),
    ...[...(paper ? [sheetOf(scene)] : []), ...scene.shapes].map((shape) => shapeSvg(shape, paper)),
  );
}

// ---- Canvas

/** @param {CanvasRenderingContext2D} context @param {Shape} shape @param {string} [font] */
function paintShape(context, shape, font = PICTURE_FONT) {
  const { fill, stroke } = tonesOf(shape);
  context.fillStyle = paperColour(fill);
  context.strokeStyle = paperColour(stroke ?? "none");
  if (shape.kind === "text") return paintText(context, shape, font);
  context.lineWidth = shape.kind === "dots" ? shape.size : 1;
  context.lineCap = shape.kind === "dots" ? "round" : "butt";
  context.setLineDash(shape.kind === "circle" && shape.dash ? [2, 2] : []);
  context.beginPath();
  if (shape.kind === "circle") context.arc(shape.x, shape.y, shape.r, 0, 2 * Math.PI);
  else if (shape.kind === "rect") context.rect(shape.x, shape.y, shape.w, shape.h);
  else
    for (const [i, [x, y]] of shape.points.entries()) {
      if (i === 0 || shape.kind === "dots") context.moveTo(x, y);
      if (i > 0 || shape.kind === "dots") context.lineTo(x, y);
    }
  if (shape.kind === "path" && shape.closed) context.closePath();
  if (fill !== "none") context.fill();
  if (stroke !== undefined) context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {Shape & {kind: "text"}} shape @param {string} font */
function paintText(context, shape, font) {
  const { x, y, weight = 400, size = TEXT_PX, anchor = "start" } = shape;
  const text = oneLine(shape.text);
  context.save();
  context.translate(x, y);
  context.rotate(((shape.turn || 0) * Math.PI) / 180);
  context.font = `${shape.italic ? "italic " : ""}${weight} ${size}px ${font}`;
  context.textAlign = anchor === "middle" ? "center" : anchor;
  context.textBaseline = "middle";
  if (shape.halo !== undefined) {
    [context.lineWidth, context.lineJoin] = [HALO_PX, "round"];
    context.strokeText(text, 0, 0);
  }
  context.fillText(text, 0, 0);
  context.restore();
}

/**
 * @param {Scene} scene
 * @param {(context: CanvasRenderingContext2D, scale: number) => void} [below] paints what is below the shapes
 * @returns {Promise<Blob>}
 */
function pngOf(scene, below) {
  const scale = Math.min(scene.scale ?? 3, LONGEST_SIDE / scene.width, LONGEST_SIDE / scene.height);
  const canvas = element("canvas", {
    width: Math.round(scene.width * scale),
    height: Math.round(scene.height * scale),
  });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(scale, scale);
  paintShape(context, sheetOf(scene));
  below?.(context, scale);
  for (const shape of scene.shapes) paintShape(context, shape, scene.font);
  return new Promise((done, failed) => {
    canvas.toBlob(
      (/** @type {Blob | null} */ blob) =>
        blob ? done(blob) : failed(new Error("This picture is too large for the browser.")),
      "image/png",
    );
  });
}

// ---- Files, and the picture on the page

/** @param {Scene} scene */
function saveSvg(scene) {
  const svg = sceneSvg(scene, true);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const text = new XMLSerializer().serializeToString(svg);
  download(`${fileName(scene.name)}.svg`, new Blob([text], { type: "image/svg+xml" }));
}

/** @param {Scene} scene @param {Parameters<typeof pngOf>[1]} [below] */
async function savePng(scene, below) {
  try {
    download(`${fileName(scene.name)}.png`, await pngOf(scene, below));
  } catch (error) {
    say(/** @type {Error} */ (error).message);
  }
}

/** @param {Scene} scene */
const saveCsv = (scene) => download(`${fileName(scene.name)}.csv`, csvOf(scene.table));

/** A picture on the page, with its files and its figures as a table. @param {Scene} scene */
function pictureElement(scene) {
  const table = wideRegion(`${scene.title}, as a table`);
  table.hidden = true;
  const drawn = wideRegion(scene.title, sceneSvg(scene, false));
  const toggle = element("button", { type: "button", "aria-pressed": "false" }, "Show as table");
  toggle.addEventListener("click", () => {
    if (!table.firstChild) table.append(figuresTable(scene.title, scene.table));
    table.hidden = !table.hidden;
    drawn.hidden = !table.hidden;
    toggle.setAttribute("aria-pressed", String(!table.hidden));
  });
  const what = oneLine(scene.title);
  const files = element(
    "span",
    { class: "files" },
    toggle,
    fileButton("SVG", what, () => saveSvg(scene)),
    fileButton("PNG", what, () => savePng(scene)),
    fileButton("CSV", what, () => saveCsv(scene)),
  );
  return element(
    "figure",
    { class: "drawn" },
    drawn,
    table,
    element("figcaption", {}, element("span", {}, scene.text), " ", files),
  );
}
