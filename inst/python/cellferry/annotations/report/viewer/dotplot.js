// Dot plots: rows down, genes across.

/**
 * @typedef {{name: string, genes: string[]}} GeneGroup genes that stand together; a name may be empty
 * @typedef {{size: number, fill: Tone, ring?: "solid" | "dashed", title: string}} Dot
 *   size is a share of the largest
 */

const DOT_STEP = 22;
const DOT_MOST = 9;
const TURN = -55;
const LEGEND_WIDTH = 400;

/** Room for the names of rows beside a picture: less on a phone. */
const titleRoom = () => (innerWidth < 640 ? 120 : 190);

/** Names at the left of a picture, and their room. @param {number[]} rows */
function sideOfRows(rows) {
  const titles = rows.map((row) => fittingText(rowTitle(row), titleRoom()));
  return { titles, left: Math.max(...titles.map((title) => textWidth(title))) + 14 };
}

/**
 * The names, and a band below the chosen row.
 * @param {number[]} rows
 * @param {ReturnType<typeof sideOfRows>} side
 * @param {number | null} chosen
 * @param {{width: number, step: number, middle: (i: number) => number}} layout
 * @returns {Shape[]}
 */
function rowShapes(rows, { titles, left }, chosen, { width, step, middle }) {
  return rows.flatMap((row, i) => {
    /** @type {Shape} */
    const name = {
      kind: "text",
      x: left - 10,
      y: middle(i),
      text: titles[i],
      anchor: "end",
      weight: row === chosen ? 600 : 400,
      title: rowTitle(row),
    };
    if (row !== chosen) return [name];
    return [{ kind: "rect", x: 0, y: middle(i) - step / 2, w: width, h: step, fill: "panel" }, name];
  });
}

/** Ranked genes of a row. @param {number} row */
const markersOf = (row) => index.markers.filter((m) => m.row === row).map((m) => m.gene);

/**
 * Rows down, genes across, a dot where there is something.
 * @param {GeneGroup[]} groups
 * @param {number[]} rows
 * @param {number | null} chosen a row that is marked
 * @param {(group: number, gene: number, row: number) => Dot | null} dotOf
 */
function dotGrid(groups, rows, chosen, dotOf) {
  /** @type {Shape[]} */
  const shapes = [];
  const side = sideOfRows(rows),
    { left } = side;
  const longest = Math.max(
    ...groups.flatMap((g) => g.genes).map((gene) => textWidth(fittingText(gene, 110))),
  );
  const named = groups.some((group) => group.name);
  const head = longest * Math.sin((-TURN * Math.PI) / 180) + 16 + (named ? 22 : 0);
  const middle = (/** @type {number} */ i) => head + (i + 0.5) * DOT_STEP;
  let x = left;
  groups.forEach((group, g) => {
    const begin = x;
    group.genes.forEach((gene, i) => {
      const at = x + DOT_STEP / 2;
      shapes.push({
        kind: "text",
        x: at,
        y: head - 10,
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
        y: 10,
        text: fittingText(group.name, width - 4),
        weight: 600,
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
  return {
    shapes: [...rowShapes(rows, side, chosen, { width, step: DOT_STEP, middle }), ...shapes],
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
  /** @type {Shape[]} */
  const shapes = [];
  for (const share of sizes ? [0.25, 0.5, 1] : []) {
    shapes.push({ kind: "circle", x: x + 9, y, r: DOT_MOST * Math.sqrt(share), fill: "muted" });
    const text = percent(share);
    shapes.push({ kind: "text", x: x + 22, y, text, fill: "muted" });
    x += 30 + textWidth(text);
  }
  x += sizes ? 8 : 0;
  shapes.push({ kind: "text", x, y, text: low, fill: "muted" });
  x += textWidth(low) + 6;
  for (let i = 0; i < 20; i++)
    shapes.push({ kind: "rect", x: x + i * 4, y: y - 5, w: 4.2, h: 10, fill: i / 19 });
  shapes.push({ kind: "text", x: x + 86, y, text: high, fill: "muted" });
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
  const { places: known } = await knownGenes();
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
    const what = `${groups[group].genes[i]} in ${rowName(row)}`;
    const title = `${what}: ${percent(share(gene, row))} of cells, mean ${figure(here)}`;
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
      found?.lfc != null ? `log2 fold change ${figure(found.lfc)}` : "",
      found?.here != null ? `${percent(found.here)} of cells` : "",
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
        `${figure(most)} log2 fold change`,
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
