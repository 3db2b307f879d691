// Pictures of genes over the rows: dot plots and violins, and lists of genes to draw them of.
//
// A picture is a list of shapes, drawn as SVG on the page and in a file, and on a canvas for PNG:
// the page's policy allows no image, so that an SVG cannot be painted on a canvas by the browser.

/**
 * @typedef {number | [string, string] | keyof typeof PAPER} Tone
 *   a number between 0 and 1 is a place on the ramp; two colours are those of a row, light and dark
 * @typedef {{kind: "circle", x: number, y: number, r: number, fill: Tone, stroke?: Tone, dash?: boolean,
 *      title?: string}
 *   | {kind: "rect", x: number, y: number, w: number, h: number, fill: Tone, title?: string}
 *   | {kind: "path", points: [number, number][], closed?: boolean, fill: Tone, stroke?: Tone, title?: string}
 *   | {kind: "text", x: number, y: number, text: string, fill?: Tone, anchor?: "start" | "middle" | "end",
 *      bold?: boolean, italic?: boolean, turn?: number, title?: string}} SceneShape
 * @typedef {{name: string, title: string, text: string, width: number, height: number, shapes: SceneShape[],
 *   table: (string | number | null)[][]}} Scene `text` is the caption; `table` has its names first
 */

/** Whether figures can be read: a server sends them as they are, a file has them packed. */
const readsBlocks = Boolean(index.live) || unpacks;

const PAPER = {
  ink: "#1c2226",
  muted: "#5c666d",
  line: "#dde1e3",
  page: "#ffffff",
  panel: "#f6f7f7",
  accent: "#0b5f69",
  failed: "#a3262a",
  none: "none",
};
/** Ends of the ramp on paper; `--ramp-low` and `--ramp-high` are those of the page. */
const PAPER_RAMP = { low: [221, 230, 233], high: [9, 74, 83] };
const PICTURE_FONT = '"Liberation Sans", Arial, Helvetica, sans-serif';
const TEXT_PX = 12;

/** @param {Tone} tone */
function paperColour(tone) {
  if (Array.isArray(tone)) return tone[0];
  if (typeof tone === "string") return PAPER[tone];
  const mixed = PAPER_RAMP.low.map((low, i) => Math.round(low + (PAPER_RAMP.high[i] - low) * tone));
  return `rgb(${mixed.join(",")})`;
}

/** Colours of the page follow dark mode and paper without being drawn again. @param {Tone} tone */
function pageColour(tone) {
  if (Array.isArray(tone)) return "var(--row-tone)";
  if (typeof tone === "string") return tone === "none" ? "none" : `var(--${tone})`;
  return `color-mix(in srgb, var(--ramp-high) ${(100 * tone).toFixed(1)}%, var(--ramp-low))`;
}

/** Text that XML can have. @param {string} text */
const cleanText = (text) =>
  text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd");

/** @param {string} name @param {Record<string, any>} attributes @param {(Node | string)[]} children */
function svgElement(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/** @param {number} n */
const px = (n) => Math.round(n * 100) / 100;

/** @param {[number, number][]} points @param {boolean} [closed] */
const pathOf = (points, closed) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${px(x)} ${px(y)}`).join("") + (closed ? "Z" : "");

/** @param {SceneShape} shape @param {boolean} paper */
function shapeSvg(shape, paper) {
  const colour = paper ? paperColour : pageColour;
  const fill = shape.fill ?? "ink";
  const stroke = "stroke" in shape && shape.stroke !== undefined ? colour(shape.stroke) : undefined;
  /** @type {Record<string, any>} */
  const look = paper
    ? { fill: colour(fill), stroke }
    : { style: `fill:${colour(fill)}${stroke ? `;stroke:${stroke}` : ""}` };
  if (!paper && Array.isArray(fill)) look.style += `;--row-light:${fill[0]};--row-dark:${fill[1]}`;
  if (!paper && Array.isArray(fill)) look.class = "of-row";
  let made;
  if (shape.kind === "circle") {
    made = svgElement("circle", {
      cx: px(shape.x),
      cy: px(shape.y),
      r: px(shape.r),
      ...look,
      "stroke-dasharray": shape.dash ? "2 2" : undefined,
    });
  } else if (shape.kind === "rect") {
    made = svgElement("rect", {
      x: px(shape.x),
      y: px(shape.y),
      width: px(shape.w),
      height: px(shape.h),
      ...look,
    });
  } else if (shape.kind === "path") {
    made = svgElement("path", { d: pathOf(shape.points, shape.closed), ...look });
  } else {
    made = svgElement(
      "text",
      {
        x: px(shape.x),
        y: px(shape.y),
        "text-anchor": shape.anchor || "start",
        ...look,
        "font-weight": shape.bold ? 600 : undefined,
        "font-style": shape.italic ? "italic" : undefined,
        transform: shape.turn ? `rotate(${shape.turn} ${px(shape.x)} ${px(shape.y)})` : undefined,
      },
      cleanText(shape.text),
    );
  }
  if (shape.title) made.append(svgElement("title", {}, cleanText(shape.title)));
  return made;
}

let pictureNumber = 0;

/** @param {Scene} scene @param {boolean} paper */
function sceneSvg(scene, paper) {
  const id = `picture-${++pictureNumber}`;
  const { width, height } = scene;
  const background = paper
    ? [shapeSvg({ kind: "rect", x: 0, y: 0, w: width, h: height, fill: "page" }, true)]
    : [];
  return svgElement(
    "svg",
    {
      viewBox: `0 0 ${px(width)} ${px(height)}`,
      width: px(width),
      height: px(height),
      role: "img",
      "aria-labelledby": `${id}-title ${id}-text`,
      "font-family": PICTURE_FONT,
      "font-size": TEXT_PX,
    },
    svgElement("title", { id: `${id}-title` }, cleanText(scene.title)),
    svgElement("desc", { id: `${id}-text` }, cleanText(scene.text)),
    ...background,
    ...scene.shapes.map((shape) => shapeSvg(shape, paper)),
  );
}

/** @param {CanvasRenderingContext2D} context @param {SceneShape} shape */
function paintShape(context, shape) {
  const fill = paperColour(shape.fill ?? "ink");
  context.fillStyle = fill;
  if (shape.kind === "text") {
    context.save();
    context.translate(shape.x, shape.y);
    context.rotate(((shape.turn || 0) * Math.PI) / 180);
    context.font = `${shape.italic ? "italic " : ""}${shape.bold ? "600 " : ""}${TEXT_PX}px ${PICTURE_FONT}`;
    context.textAlign = shape.anchor === "middle" ? "center" : shape.anchor || "start";
    context.fillText(shape.text, 0, 0);
    context.restore();
    return;
  }
  context.beginPath();
  if (shape.kind === "circle") context.arc(shape.x, shape.y, shape.r, 0, 2 * Math.PI);
  else if (shape.kind === "rect") context.rect(shape.x, shape.y, shape.w, shape.h);
  else shape.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (shape.kind === "path" && shape.closed) context.closePath();
  if (fill !== "none") context.fill();
  if (!("stroke" in shape) || shape.stroke === undefined) return;
  context.setLineDash(shape.kind === "circle" && shape.dash ? [2, 2] : []);
  context.strokeStyle = paperColour(shape.stroke);
  context.stroke();
}

/** Sides that canvases have everywhere. */
const LONGEST_SIDE = 16000;

/** @param {Scene} scene @returns {Promise<Blob>} */
function pngOf(scene) {
  const scale = Math.min(3, LONGEST_SIDE / scene.width, LONGEST_SIDE / scene.height);
  const canvas = element("canvas", {
    width: Math.round(scene.width * scale),
    height: Math.round(scene.height * scale),
  });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(scale, scale);
  for (const shape of [
    /** @type {SceneShape} */ ({ kind: "rect", x: 0, y: 0, w: scene.width, h: scene.height, fill: "page" }),
    ...scene.shapes,
  ]) {
    paintShape(context, shape);
  }
  return new Promise((done, failed) => {
    canvas.toBlob(
      (/** @type {Blob | null} */ blob) =>
        blob ? done(blob) : failed(new Error("The picture is too large.")),
      "image/png",
    );
  });
}

/** @param {Scene} scene */
function svgFile(scene) {
  const svg = sceneSvg(scene, true);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
}

/**
 * A table of texts and numbers; the first row names the columns.
 * @param {string} caption
 * @param {(string | number | null)[][]} rows
 */
function figuresTable(caption, [names, ...rows]) {
  const cell = (/** @type {string | number | null} */ value, /** @type {number} */ i) =>
    i ? element("td", {}, figureText(value)) : element("th", { scope: "row" }, figureText(value));
  return element(
    "table",
    { class: "figures" },
    element("caption", {}, caption),
    element(
      "thead",
      {},
      element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, String(name)))),
    ),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
}

/** @param {string | number | null} value */
function figureText(value) {
  if (value === null || typeof value === "string") return value ?? "–";
  if (Number.isInteger(value)) return whole(value);
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5
    ? value.toFixed(Math.abs(value) < 0.1 ? 3 : 2)
    : value.toExponential(1);
}

/** A picture on the page, with its files and its figures as a table. @param {Scene} scene */
function pictureElement(scene) {
  const name = scene.name.replace(/[^\w.-]+/g, "_").slice(0, 80);
  const table = element("div", {
    class: "wide",
    tabindex: 0,
    role: "region",
    "aria-label": `${scene.title}, as a table`,
    hidden: true,
  });
  const drawn = element(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": scene.title },
    sceneSvg(scene, false),
  );
  const toggle = element("button", { type: "button", "aria-pressed": "false" }, "Show as table");
  toggle.addEventListener("click", () => {
    if (!table.firstChild) table.append(figuresTable(scene.title, scene.table));
    table.hidden = !table.hidden;
    drawn.hidden = !table.hidden;
    toggle.setAttribute("aria-pressed", String(!table.hidden));
  });
  const png = async () => {
    try {
      download(`${name}.png`, await pngOf(scene));
    } catch (error) {
      say(/** @type {Error} */ (error).message);
    }
  };
  return element(
    "figure",
    { class: "drawn" },
    drawn,
    table,
    element(
      "figcaption",
      {},
      element("span", {}, scene.text),
      " ",
      element(
        "span",
        { class: "files" },
        toggle,
        element("button", { type: "button", onclick: () => download(`${name}.svg`, svgFile(scene)) }, "SVG"),
        element("button", { type: "button", onclick: png }, "PNG"),
        element(
          "button",
          { type: "button", onclick: () => download(`${name}.csv`, csvOf(scene.table)) },
          "CSV",
        ),
      ),
    ),
  );
}

const pictureRuler = /** @type {CanvasRenderingContext2D} */ (
  document.createElement("canvas").getContext("2d")
);
pictureRuler.font = `600 ${TEXT_PX}px ${PICTURE_FONT}`;

/** @param {string} text */
const textWidth = (text) => pictureRuler.measureText(text).width;

/** Text that fits into a width. @param {string} text @param {number} room */
function fittingText(text, room) {
  if (textWidth(text) <= room) return text;
  let kept = Math.min(text.length, Math.ceil(room / 3));
  while (kept > 1 && textWidth(text.slice(0, kept) + "…") > room) kept -= 1;
  return text.slice(0, kept).trimEnd() + "…";
}

/** Room for the names of rows beside a picture: less on a phone. */
const titleRoom = () => (innerWidth < 640 ? 120 : 190);

/** Name of a row at the side of a picture. @param {number} row */
function rowTitle(row) {
  const { cluster } = index.rows[row];
  return index.noun === "label" ? cluster : `${cluster} · ${labelOf(row) ?? "no label"}`;
}

/**
 * @typedef {{name: string, genes: string[]}} GeneGroup genes that stand together; a name may be empty
 * @typedef {{size: number, fill: Tone, ring?: "solid" | "dashed", title: string}} Dot
 *   size is a share of the largest
 */

const DOT_STEP = 22;
const DOT_MOST = 9;
const TURN = -55;
const LEGEND_WIDTH = 400;

/**
 * Rows down, genes across, a dot where there is something.
 * @param {GeneGroup[]} groups
 * @param {number[]} rows
 * @param {number | null} chosen a row that is marked
 * @param {(group: number, gene: number, row: number) => Dot | null} dotOf
 */
function dotGrid(groups, rows, chosen, dotOf) {
  /** @type {SceneShape[]} */
  const shapes = [];
  const titles = rows.map((row) => fittingText(rowTitle(row), titleRoom()));
  const left = Math.max(...titles.map(textWidth)) + 14;
  const longest = Math.max(
    ...groups.flatMap((g) => g.genes).map((gene) => textWidth(fittingText(gene, 110))),
  );
  const named = groups.some((group) => group.name);
  const head = longest * Math.sin((-TURN * Math.PI) / 180) + 16 + (named ? 22 : 0);
  const middle = (/** @type {number} */ i) => head + (i + 0.5) * DOT_STEP;
  rows.forEach((row, i) => {
    if (row === chosen)
      shapes.push({ kind: "rect", x: 0, y: middle(i) - DOT_STEP / 2, w: 0, h: DOT_STEP, fill: "panel" });
    shapes.push({
      kind: "text",
      x: left - 10,
      y: middle(i) + 4,
      text: titles[i],
      anchor: "end",
      bold: row === chosen,
      title: rowTitle(row),
    });
  });
  let x = left;
  groups.forEach((group, g) => {
    const begin = x;
    group.genes.forEach((gene, i) => {
      const at = x + DOT_STEP / 2;
      shapes.push({
        kind: "text",
        x: at + 3,
        y: head - 8,
        text: fittingText(gene, 110),
        italic: true,
        turn: TURN,
        title: gene,
      });
      rows.forEach((row, r) => {
        const dot = dotOf(g, i, row);
        if (dot === null) return;
        shapes.push({
          kind: "circle",
          x: at,
          y: middle(r),
          r: Math.max(1, DOT_MOST * Math.sqrt(dot.size)),
          fill: dot.fill,
          title: dot.title,
          stroke: dot.ring ? "ink" : "line",
          dash: dot.ring === "dashed",
        });
      });
      x += DOT_STEP;
    });
    if (group.name) {
      const width = Math.max(x - begin, 60);
      shapes.push({
        kind: "text",
        x: begin + 2,
        y: 14,
        text: fittingText(group.name, width - 4),
        bold: true,
        title: group.name,
      });
      shapes.push({
        kind: "path",
        points: [
          [begin + 2, 20],
          [begin + width - 4, 20],
        ],
        fill: "none",
        stroke: "line",
      });
      x = begin + width;
    }
    x += 10;
  });
  // The last name leans out to the right.
  const width = Math.max(x + longest * Math.cos((-TURN * Math.PI) / 180), LEGEND_WIDTH);
  for (const shape of shapes) if (shape.kind === "rect") shape.w = width;
  return {
    shapes,
    legend: Math.max(0, Math.min(left, width - LEGEND_WIDTH)),
    width,
    height: middle(rows.length),
  };
}

/**
 * What sizes and colours mean.
 * @param {number} x
 * @param {number} y
 * @param {string} sizes
 * @param {string} low
 * @param {string} high
 */
function dotLegend(x, y, sizes, low, high) {
  /** @type {SceneShape[]} */
  const shapes = [];
  for (const share of sizes ? [0.25, 0.5, 1] : []) {
    shapes.push({ kind: "circle", x: x + 9, y, r: DOT_MOST * Math.sqrt(share), fill: "muted" });
    const text = `${100 * share} %`;
    shapes.push({ kind: "text", x: x + 22, y: y + 4, text, fill: "muted" });
    x += 30 + textWidth(text);
  }
  x += sizes ? 8 : 0;
  shapes.push({ kind: "text", x, y: y + 4, text: low, fill: "muted" });
  x += textWidth(low) + 6;
  for (let i = 0; i < 20; i++)
    shapes.push({ kind: "rect", x: x + i * 4, y: y - 5, w: 4.2, h: 10, fill: i / 19 });
  shapes.push({ kind: "text", x: x + 86, y: y + 4, text: high, fill: "muted" });
  return shapes;
}

/** @param {string} name @param {number} row */
const markerOf = (name, row) => index.markers.find((m) => m.row === row && m.gene === name);

/**
 * Mean and share of genes in rows, over all cells; where there are none, figures of the markers.
 * @param {GeneGroup[]} groups of known genes
 * @param {number[]} rows
 * @param {number | null} [chosen]
 * @returns {Promise<Scene>}
 */
async function dotPlot(groups, rows, chosen = null) {
  return index.genes ? dotPlotOfCells(groups, rows, chosen) : dotPlotOfMarkers(groups, rows, chosen);
}

/**
 * @param {GeneGroup[]} groups
 * @param {number[]} rows
 * @param {number | null} chosen
 * @returns {Promise<Scene>}
 */
async function dotPlotOfCells(groups, rows, chosen) {
  const { share, mean } = await summaryOfGenes();
  const known = await genePlaces();
  const places = groups.map((group) => group.genes.map((gene) => /** @type {number} */ (known.get(gene))));
  const ends = places.map((genes) =>
    genes.map((gene) => {
      const means = index.rows.map((_, row) => Math.log1p(mean(gene, row)));
      return { low: Math.min(...means), high: Math.max(...means) };
    }),
  );
  /** @type {(string | number | null)[][]} */
  const table = [["gene", index.noun, "label", "share of cells", "mean", "colour"]];
  const drawn = dotGrid(groups, rows, chosen, (group, i, row) => {
    const gene = places[group][i],
      { low, high } = ends[group][i];
    const here = mean(gene, row);
    const scaled = high > low ? (Math.log1p(here) - low) / (high - low) : 0;
    table.push([
      groups[group].genes[i],
      index.rows[row].cluster,
      labelOf(row),
      share(gene, row),
      here,
      scaled,
    ]);
    if (share(gene, row) === 0) return null;
    const percent = figureText(100 * share(gene, row));
    const what = `${groups[group].genes[i]} in ${rowName(row)}`;
    const title = `${what}: ${percent} % of cells, mean ${figureText(here)}`;
    return { size: share(gene, row), fill: scaled, title };
  });
  const n = index.n_cells === null ? "" : ` Figures are of all ${whole(index.n_cells)} cells.`;
  return {
    ...drawn,
    table,
    name: `genes_${groups.flatMap((g) => g.genes)[0]}`,
    title: `Genes over ${index.noun}s`,
    height: drawn.height + 42,
    shapes: [...drawn.shapes, ...dotLegend(drawn.legend, drawn.height + 24, "share", "least", "most")],
    text:
      "Size is the share of the cells with a value, colour log1p of the mean count per 10,000, " +
      "scaled from 0 to 1 for each gene " +
      `over all ${index.noun}s (as DotPlot of Seurat, there in standard deviations).${n}`,
  };
}

/** @param {GeneGroup[]} groups @param {number[]} rows @param {number | null} chosen @returns {Scene} */
function dotPlotOfMarkers(groups, rows, chosen) {
  const most = Math.max(...index.markers.map((m) => m.lfc ?? 0), 1e-9);
  const shares = index.markers.some((m) => m.here !== null);
  const changes = index.markers.some((m) => m.lfc !== null);
  /** @type {(string | number | null)[][]} */
  const table = [
    [
      "gene",
      index.noun,
      "label",
      "log2 fold change",
      "share here",
      "share elsewhere",
      "adjusted p",
      "evidence",
    ],
  ];
  const drawn = dotGrid(groups, rows, chosen, (group, i, row) => {
    const gene = groups[group].genes[i];
    const found = markerOf(gene, row);
    const { supporting, conflicting } = index.rows[row];
    const evidence = supporting.includes(gene) ? "for" : conflicting.includes(gene) ? "against" : null;
    if (!found && !evidence) return null;
    table.push([
      gene,
      index.rows[row].cluster,
      labelOf(row),
      found?.lfc ?? null,
      found?.here ?? null,
      found?.elsewhere ?? null,
      found?.p ?? null,
      evidence,
    ]);
    const figures = [
      found?.lfc != null ? `log2 fold change ${figureText(found.lfc)}` : "",
      found?.here != null ? `${figureText(100 * found.here)} % of cells` : "",
    ];
    return {
      size: found?.here ?? 0.5,
      fill: found?.lfc == null ? (changes ? 0 : 0.5) : Math.max(0, found.lfc / most),
      ring: evidence ? (evidence === "for" ? "solid" : "dashed") : undefined,
      title: [
        `${gene} in ${rowName(row)}`,
        ...figures.filter(Boolean),
        evidence ? `evidence ${evidence} the label` : "",
      ]
        .filter(Boolean)
        .join(", "),
    };
  });
  const legend = changes
    ? dotLegend(
        drawn.legend,
        drawn.height + 24,
        shares ? "share" : "",
        "0",
        `${figureText(most)} log2 fold change`,
      )
    : [];
  const size = shares ? "Size is the share of the cells with a value. " : "";
  const colour = changes ? "Colour is the log2 fold change. " : "";
  return {
    ...drawn,
    table,
    name: "markers",
    title: `Markers over ${index.noun}s`,
    height: drawn.height + (legend.length ? 42 : 10),
    shapes: [...drawn.shapes, ...legend],
    text:
      `${size}${colour}A line round a dot: the gene is evidence for the label, dashed: against it. ` +
      "No dot: it is no marker of the " +
      `${index.noun}. Figures are those of the marker table.`,
  };
}

const VIOLIN_STEP = 26;
const VIOLIN_WIDTH = 190;

/**
 * How the values of a gene are spread in each row.
 * @param {number} gene its position
 * @param {number[]} rows
 * @param {number | null} [chosen]
 * @returns {Promise<Scene>}
 */
async function violin(gene, rows, chosen = null) {
  const [{ top, counts }, names] = await Promise.all([histogramOf(gene), geneNames()]);
  const sizes = rows.map((row) => counts(row).reduce((sum, n) => sum + n, 0));
  const densities = rows.map((row, i) => Array.from(counts(row).slice(1), (n) => n / Math.max(sizes[i], 1)));
  const widest = Math.max(...densities.flat(), 1e-9);
  const titles = rows.map((row) => fittingText(rowTitle(row), titleRoom()));
  const left = Math.max(...titles.map(textWidth)) + 16;
  const across = innerWidth < 640 ? 150 : VIOLIN_WIDTH;
  const at = (/** @type {number} */ value) => left + (value / (top || 1)) * across;
  /** @type {SceneShape[]} */
  const shapes = [{ kind: "text", x: left + across + 12, y: 12, text: "without", fill: "muted" }];
  /** @type {(string | number | null)[][]} */
  const table = [
    [
      index.noun,
      "label",
      "cells",
      "share without",
      ...densities[0].map((_, bin) => `to ${figureText(((bin + 1) * top) / (BINS - 1))}`),
    ],
  ];
  rows.forEach((row, i) => {
    const middle = 20 + (i + 0.5) * VIOLIN_STEP;
    const half = densities[i].map((d) => (d / widest) * (VIOLIN_STEP / 2 - 2));
    const xs = half.map((_, bin) => at(((bin + 0.5) * top) / (BINS - 1)));
    const zeros = sizes[i] ? counts(row)[0] / sizes[i] : 0;
    if (row === chosen)
      shapes.push({
        kind: "rect",
        x: 0,
        y: middle - VIOLIN_STEP / 2,
        w: left + across + 70,
        h: VIOLIN_STEP,
        fill: "panel",
      });
    shapes.push({
      kind: "text",
      x: left - 10,
      y: middle + 4,
      text: titles[i],
      anchor: "end",
      bold: row === chosen,
      title: rowTitle(row),
    });
    shapes.push({
      kind: "path",
      points: [
        [left, middle],
        [left + across, middle],
      ],
      fill: "none",
      stroke: "line",
    });
    /** @type {[number, number][]} */
    const upper = half.map((h, bin) => [xs[bin], middle - h]);
    /** @type {[number, number][]} */
    const lower = half.map((h, bin) => [xs[bin], middle + h]);
    const title = `${rowName(row)}: ${whole(sizes[i])} cells, ${figureText(100 * zeros)} % without a value`;
    shapes.push({
      kind: "path",
      points: [...upper, ...lower.reverse()],
      closed: true,
      fill: index.rows[row].color,
      title,
    });
    shapes.push({
      kind: "text",
      x: left + across + 12,
      y: middle + 4,
      text: sizes[i] ? `${Math.round(100 * zeros)} %` : "no cells",
      fill: "muted",
    });
    table.push([index.rows[row].cluster, labelOf(row), sizes[i], zeros, ...counts(row).slice(1)]);
  });
  const bottom = 20 + rows.length * VIOLIN_STEP;
  for (const share of [0, 0.5, 1]) {
    shapes.push({
      kind: "text",
      x: at(share * top),
      y: bottom + 16,
      text: figureText(share * top),
      anchor: "middle",
      fill: "muted",
    });
  }
  const total = sizes.reduce((sum, n) => sum + n, 0);
  return {
    name: `values_${names[gene]}`,
    title: `${names[gene]} in each ${index.noun}`,
    width: left + across + 76,
    height: bottom + 24,
    shapes,
    table,
    text:
      `Values of ${names[gene]} (log-normalised) of ${whole(total)} cells. ` +
      `The height is the share of the ${index.noun}'s cells at a value, on one scale ` +
      "for all; cells without a value are not drawn, their share is at the right.",
  };
}

/** Whether how the values of a gene are spread can be drawn. @param {number} position */
const hasViolin = (position) =>
  Boolean(index.genes && readsBlocks && (index.genes.histograms.includes(position) || hasValues(position)));

/** Genes of the marker table, upper case -> name. */
const markerNames = new Map(index.markers.map((m) => [m.gene.toUpperCase(), m.gene]));

/** @type {Promise<Map<string, number>> | null} */
let placesOfGenes = null;

/** Where each gene is, by its name and by its name in capitals: lists have thousands. */
function genePlaces() {
  placesOfGenes ||= geneNames().then((names) => {
    const places = new Map();
    for (const [i, name] of names.entries()) if (!places.has(name)) places.set(name, i);
    for (const [i, name] of names.entries()) {
      if (!places.has(name.toUpperCase())) places.set(name.toUpperCase(), i);
    }
    return places;
  });
  return placesOfGenes;
}

/** All genes that can be drawn. @returns {Promise<string[]>} */
const drawableGenes = async () => (index.genes ? geneNames() : [...markerNames.values()]);

/**
 * The gene that a person means: in any case, by an alias; null where there is none.
 * @param {string} text
 * @returns {Promise<{name: string, position: number} | null>}
 */
async function geneMeant(text) {
  if (!index.genes) {
    const name = markerNames.get(text.trim().toUpperCase());
    return name === undefined ? null : { name, position: -1 };
  }
  const known = await genePlaces();
  const name = text.trim();
  const position =
    known.get(name) ?? known.get(name.toUpperCase()) ?? index.genes.aliases[name.toUpperCase()];
  return position === undefined ? null : { name: (await geneNames())[position], position };
}

/**
 * Steps between two words, or more than `most`.
 * @param {string} one
 * @param {string} other
 * @param {number} most
 */
function stepsBetween(one, other, most) {
  if (Math.abs(one.length - other.length) > most) return most + 1;
  let before = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const now = [i];
    for (let j = 1; j <= other.length; j++) {
      now[j] = Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + Number(one[i - 1] !== other[j - 1]));
    }
    before = now;
  }
  return before[other.length];
}

/** Names that are nearest to one that is not there. @param {string} text @param {string[]} names */
function nearestGenes(text, names) {
  const wanted = text.trim().toUpperCase().slice(0, 40);
  const near = names
    .map((name) => ({ name, steps: stepsBetween(wanted, name.toUpperCase(), 2) }))
    .filter(({ name, steps }) => steps <= 2 || (wanted.length > 2 && name.toUpperCase().startsWith(wanted)));
  return near
    .sort((a, b) => a.steps - b.steps)
    .slice(0, 4)
    .map(({ name }) => name);
}

const MOST_SUGGESTED = 12;

/** Genes whose name, or an alias, begins with a text, then those that have it inside. @param {string} text */
async function genesLike(text) {
  const wanted = text.trim().toUpperCase();
  const names = await drawableGenes();
  if (!wanted) return [];
  const begin = [],
    inside = [];
  for (const name of names) {
    const place = name.toUpperCase().indexOf(wanted);
    if (place === 0) begin.push({ value: name, note: "" });
    else if (place > 0 && inside.length < MOST_SUGGESTED) inside.push({ value: name, note: "" });
  }
  begin.sort((a, b) => a.value.length - b.value.length);
  const aliased =
    begin.length >= MOST_SUGGESTED || !index.genes
      ? []
      : Object.entries(index.genes.aliases)
          .filter(([alias]) => alias.startsWith(wanted))
          .slice(0, MOST_SUGGESTED)
          .map(([alias, place]) => ({ value: names[place], note: alias }));
  const seen = new Set();
  return [...begin, ...aliased, ...inside]
    .filter(({ value }) => !seen.has(value) && seen.add(value))
    .slice(0, MOST_SUGGESTED);
}

/**
 * A field that offers what is meant, as the pattern of a combobox has it.
 * @template {{value: string, note: string}} T
 * @param {HTMLInputElement} input
 * @param {(text: string) => Promise<T[]>} offer
 * @param {(chosen: T | null, text: string) => void} choose null: what was typed, as it is
 */
function completing(input, offer, choose) {
  const list = element("ul", {
    role: "listbox",
    id: `${input.id}-options`,
    class: "options",
    "aria-label": "Suggestions",
    hidden: true,
  });
  const attributes = {
    role: "combobox",
    autocomplete: "off",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
    spellcheck: "false",
  };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  /** @type {T[]} */
  let offered = [];
  let at = -1,
    asked = 0;
  const close = () => {
    [list.hidden, at] = [true, -1];
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (/** @type {number} */ to) => {
    at = to;
    Array.from(list.children).forEach((option, i) =>
      /** @type {Element} */ (option).setAttribute("aria-selected", String(i === at)),
    );
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const take = (/** @type {T | null} */ chosen) => {
    const text = input.value;
    asked += 1;
    close();
    choose(chosen, text);
  };
  const show = (/** @type {T[]} */ found) => {
    offered = found;
    list.replaceChildren(
      ...found.map((one, i) =>
        element(
          "li",
          {
            role: "option",
            id: `${list.id}-${i}`,
            "aria-selected": "false",
            onpointerdown: (/** @type {Event} */ event) => event.preventDefault(),
            onclick: () => take(one),
          },
          element("span", {}, one.value),
          one.note ? element("small", {}, ` ${one.note}`) : null,
        ),
      ),
    );
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    at = -1;
    input.removeAttribute("aria-activedescendant");
  };
  input.addEventListener("input", async () => {
    const turn = ++asked;
    const found = await offer(input.value).catch(() => []);
    if (turn === asked) show(found);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && offered.length && !list.hidden) mark((at + 1) % offered.length);
    else if (event.key === "ArrowUp" && offered.length && !list.hidden)
      mark((at - 1 + offered.length) % offered.length);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Enter") take(at >= 0 && !list.hidden ? offered[at] : null);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  return element("span", { class: "completing" }, input, list);
}

const GENE_COLUMNS = /^(gene|genes|symbol|gene_symbol|gene_name|marker|feature|names?)$/i;
const SET_COLUMNS = /^(cluster|cell_?type|group|set|list|label|type|category)$/i;
const MOST_LISTS = 200;
const MOST_IN_LIST = 2000;

/**
 * Lists of genes in a text: GMT, a table with a column of genes, "name: genes", or only genes.
 * @param {string} text
 * @param {string} name of a list that has none
 * @returns {GeneGroup[]}
 */
function listsIn(text, name) {
  const lines = text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .filter((line) => line.trim());
  if (!lines.length) return [];
  const separator = ["\t", ";", ","].find((c) => lines[0].includes(c)) || "\t";
  const table = fieldsOf(lines.join("\n"), separator).map((line) => line.map((field) => field.trim()));
  const gene = table[0].findIndex((field) => GENE_COLUMNS.test(field.replace(/\s+/g, "_")));
  /** @type {Map<string, string[]>} */
  const found = new Map();
  const add = (/** @type {string} */ list, /** @type {string[]} */ genes) => {
    const own = found.get(list) || found.set(list, []).get(list);
    own?.push(...genes.map((g) => g.trim()).filter((g) => g && g.length <= 200));
  };
  if (gene >= 0 && lines.length > 1) {
    const set = table[0].findIndex((field) => SET_COLUMNS.test(field.replace(/\s+/g, "_")));
    for (const line of table.slice(1)) add((set >= 0 && line[set]) || name, [line[gene] || ""]);
  } else if (lines.every((line) => /^[^:\t]+:\s*\S/.test(line))) {
    for (const line of lines)
      add(line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).split(/[\s,;]+/));
  } else if (lines.every((line) => line.split("\t").length >= 3)) {
    for (const line of lines) add(line.split("\t")[0].trim(), line.split("\t").slice(2));
  } else {
    add(
      name,
      text
        .replace(/^\ufeff/, "")
        .split(/[\s,;]+/)
        .map((g) => g.replace(/^["']|["']$/g, "")),
    );
  }
  return [...found]
    .filter(([, genes]) => genes.length)
    .slice(0, MOST_LISTS)
    .map(([list, genes]) => ({
      name: list.slice(0, 200),
      genes: [...new Set(genes)].slice(0, MOST_IN_LIST),
    }));
}

/** Genes that a person typed, the newest last. @type {string[]} */
let typedGenes = [];
/** Whether the markers of the rows are drawn: until something else is. */
let drawsMarkers = true;
/** @type {number | null} position of the gene whose violin is drawn */
let violinGene = null;
const MOST_COLUMNS = 150;
/** Genes that are named one by one where they are not there. */
const MOST_NAMED = 20;
/** Markers that are drawn where nobody chose genes, over all rows. */
const MOST_UNASKED = 90;

/** The best evidence of each row. @returns {string[]} */
function genesOfRows() {
  const each = Math.max(1, Math.min(3, Math.floor(MOST_UNASKED / index.rows.length)));
  const best = index.rows.flatMap((row, i) => {
    const ranked = index.markers.filter((m) => m.row === i).map((m) => m.gene);
    return [...row.supporting, ...ranked].slice(0, each);
  });
  return [...new Set(best)].slice(0, MOST_UNASKED);
}

/**
 * @typedef {{box: HTMLInputElement, shown: HTMLElement, drawn: HTMLElement, spread: HTMLElement,
 *   note: HTMLElement, missing: HTMLElement}} GenePanel
 */

/** @type {GenePanel | null} */
let genePanel = null;

/** Groups that are to be drawn, with what is not known of them. */
async function groupsToDraw() {
  const wanted = [
    { name: "", genes: typedGenes },
    ...state.lists,
    ...(drawsMarkers ? [{ name: "", genes: genesOfRows() }] : []),
  ];
  const unknown = /** @type {string[]} */ ([]),
    groups = /** @type {GeneGroup[]} */ ([]);
  let room = MOST_COLUMNS,
    left = 0;
  for (const group of wanted) {
    const meant = await Promise.all(group.genes.map(geneMeant));
    unknown.push(...group.genes.filter((_, i) => !meant[i]));
    const genes = [...new Set(meant.flatMap((gene) => (gene ? [gene.name] : [])))];
    left += Math.max(0, genes.length - room);
    if (genes.length && room > 0) groups.push({ name: group.name, genes: genes.slice(0, room) });
    room -= genes.length;
  }
  return { groups, unknown: drawsMarkers && !typedGenes.length && !state.lists.length ? [] : unknown, left };
}

/** Of several drawings that were begun only the last is shown. */
let genesDrawn = 0;
/** Whether the section is near what is seen, and whether it has changed since it was drawn. */
const genesSeen = { near: false, stale: true };

/** Draw the section anew, when it comes near if it is far away. */
function drawGenesWhenSeen() {
  genesSeen.stale = true;
  if (genesSeen.near) drawGenes();
}

async function drawGenes() {
  if (!genePanel) return;
  genesSeen.stale = false;
  const turn = ++genesDrawn;
  try {
    await drawGenesOf(genePanel, turn);
  } catch (error) {
    // A server may be gone; what was drawn stays.
    const { message } = /** @type {Error} */ (error);
    genePanel.missing.replaceChildren(message);
    say(message);
  }
}

/** @param {GenePanel} panel @param {number} turn */
async function drawGenesOf(panel, turn) {
  const { groups, unknown, left } = await groupsToDraw();
  const rows = index.rows.map((_, row) => row);
  const scene = groups.length ? await dotPlot(groups, rows, state.row) : null;
  if (turn !== genesDrawn) return;
  const more = unknown.length > MOST_NAMED ? ` and ${unknown.length - MOST_NAMED} more` : "";
  const said = [
    unknown.length ? `Not here: ${unknown.slice(0, MOST_NAMED).join(", ")}${more}.` : "",
    left > 0 ? `Drawn are ${MOST_COLUMNS} genes; ${whole(left)} more have no room.` : "",
  ];
  panel.missing.replaceChildren(said.filter(Boolean).join(" "));
  panel.drawn.replaceChildren(
    scene ? pictureElement(scene) : element("p", { class: "muted" }, "No gene is chosen."),
  );
  panel.shown.replaceChildren(...shownChips());
  panel.spread.replaceChildren();
  const spread = violinGene === null ? null : await violin(violinGene, rows, state.row);
  if (spread && turn === genesDrawn) panel.spread.replaceChildren(pictureElement(spread));
}

/** What is drawn, each with a way to take it out. */
function shownChips() {
  const chip = (/** @type {string} */ name, /** @type {string} */ what, /** @type {() => void} */ remove) =>
    element(
      "li",
      {},
      element("span", {}, name),
      element(
        "button",
        {
          type: "button",
          "aria-label": `Remove ${what} ${name}`,
          onclick: () => {
            remove();
            drawGenes();
          },
        },
        "×",
      ),
    );
  return [
    ...typedGenes.map((gene) =>
      chip(gene, "gene", () => (typedGenes = typedGenes.filter((g) => g !== gene))),
    ),
    ...state.lists.map((list) =>
      chip(`${list.name} (${list.genes.length})`, "list", () =>
        change({ lists: state.lists.filter((l) => l !== list) }),
      ),
    ),
    drawsMarkers
      ? chip(`markers of the ${index.noun}s`, "the", () => (drawsMarkers = false))
      : element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              onclick: () => {
                drawsMarkers = true;
                drawGenes();
              },
            },
            `+ markers of the ${index.noun}s`,
          ),
        ),
  ];
}

/** @param {string} text */
async function addGene(text) {
  if (!genePanel || !text.trim()) return;
  const meant = await geneMeant(text);
  if (!meant) return offerNearest(text);
  if (!typedGenes.length && !state.lists.length) drawsMarkers = false;
  typedGenes = [...typedGenes.filter((gene) => gene !== meant.name), meant.name];
  if (hasViolin(meant.position)) violinGene = meant.position;
  genePanel.box.value = "";
  genePanel.note.replaceChildren();
  await drawGenes();
  const other =
    meant.name.toUpperCase() === text.trim().toUpperCase()
      ? ""
      : `, which ${text.trim()} is another name of,`;
  say(`${meant.name}${other} is drawn.`);
}

/** @param {string} text */
async function offerNearest(text) {
  if (!genePanel) return;
  const near = nearestGenes(text, await drawableGenes());
  const offers = near.flatMap((name) => [
    " ",
    element("button", { type: "button", onclick: () => addGene(name) }, name),
  ]);
  genePanel.note.replaceChildren(
    `There is no gene “${text.trim()}” here.${near.length ? " Near are:" : ""}`,
    ...offers,
  );
  say(`There is no gene ${text.trim()}. ${near.length ? `Near are ${near.join(", ")}.` : ""}`);
}

/** Add a gene to the pictures and go there. @param {number} position */
async function showGene(position) {
  const section = /** @type {HTMLElement} */ (document.getElementById("pictures"));
  await addGene((await geneNames())[position]);
  section.scrollIntoView();
}

/** @param {GeneGroup[]} lists */
function addLists(lists) {
  if (!lists.length) return say("There is no gene in it.");
  const names = new Set(lists.map((list) => list.name));
  drawsMarkers = false;
  change({ lists: [...state.lists.filter((list) => !names.has(list.name)), ...lists].slice(-MOST_LISTS) });
  say(`${lists.length === 1 ? "One list" : `${lists.length} lists`} of genes drawn.`);
}

/** @returns {HTMLElement} */
function listForm() {
  const text = element("textarea", {
    id: "list-text",
    rows: 4,
    spellcheck: "false",
    placeholder: "T cells: CD3D, CD3E\nB cells: MS4A1, CD79A",
  });
  const file = element("input", { type: "file", id: "list-file", accept: ".gmt,.txt,.csv,.tsv" });
  file.addEventListener("change", async () => {
    for (const one of file.files) addLists(listsIn(await one.text(), one.name.replace(/\.[^.]*$/, "")));
    file.value = "";
  });
  const add = () => {
    addLists(listsIn(text.value, `list ${state.lists.length + 1}`));
    text.value = "";
  };
  return element(
    "details",
    { class: "lists" },
    element("summary", {}, "Lists of genes"),
    element("label", { for: "list-text" }, "Pasted: names with genes, GMT, a table, or only genes"),
    text,
    element(
      "p",
      { class: "row" },
      element("button", { type: "button", onclick: add }, "Draw them"),
      element("label", { for: "list-file" }, "or a file"),
      file,
    ),
    element("p", { class: "note muted" }, "Lists are kept with the decisions when these are downloaded."),
  );
}

(function startPictures() {
  // Where nothing can be unpacked, the map says so.
  if (index.genes ? !readsBlocks : !index.markers.length) return;
  const section = /** @type {HTMLElement} */ (document.getElementById("pictures"));
  const box = element("input", { id: "gene-box", type: "text", placeholder: "name, alias" });
  const note = element("p", { class: "note", id: "gene-note" });
  const missing = element("p", { class: "note", id: "gene-missing" });
  const [shown, drawn, spread] = [element("ul", { class: "chips" }), element("div"), element("div")];
  const field = completing(box, genesLike, (chosen, text) => addGene(chosen ? chosen.value : text));
  const add = element("button", { type: "button", onclick: () => addGene(box.value) }, "Draw");
  section.append(
    element("div", { class: "controls" }, element("label", { for: "gene-box" }, "Add a gene"), field, add),
    note,
    missing,
    shown,
    drawn,
    spread,
    listForm(),
  );
  section.hidden = false;
  genePanel = { box, shown, drawn, spread, note, missing };
  on(["lists", "row", "decisions"], drawGenesWhenSeen);
  new IntersectionObserver(
    ([entry]) => {
      genesSeen.near = entry.isIntersecting;
      if (genesSeen.near && genesSeen.stale) drawGenes();
    },
    { rootMargin: "600px" },
  ).observe(section);
})();
