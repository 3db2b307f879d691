// Violins: how the values of a gene are spread in each row.

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
  const side = sideOfRows(rows),
    { left } = side;
  const across = innerWidth < 640 ? 150 : VIOLIN_WIDTH;
  const middleOf = (/** @type {number} */ i) => 20 + (i + 0.5) * VIOLIN_STEP;
  const at = (/** @type {number} */ value) => left + (value / (top || 1)) * across;
  /** @type {Shape[]} */
  const shapes = [
    ...rowShapes(rows, side, chosen, { width: left + across + 70, step: VIOLIN_STEP, middle: middleOf }),
    { kind: "text", x: left + across + 12, y: 8, text: "without", fill: "muted" },
  ];
  /** @type {(string | number | null)[][]} */
  const table = [
    [
      index.noun,
      "label",
      "cells",
      "share without",
      ...densities[0].map((_, bin) => `to ${figure(((bin + 1) * top) / (BINS - 1))}`),
    ],
  ];
  rows.forEach((row, i) => {
    const middle = middleOf(i);
    const half = densities[i].map((d) => (d / widest) * (VIOLIN_STEP / 2 - 2));
    const xs = half.map((_, bin) => at(((bin + 0.5) * top) / (BINS - 1)));
    const zeros = sizes[i] ? counts(row)[0] / sizes[i] : 0;
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
    const title = `${rowName(row)}: ${whole(sizes[i])} cells, ${percent(zeros)} without a value`;
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
      y: middle,
      text: sizes[i] ? percent(zeros) : "no cells",
      fill: "muted",
    });
    table.push([index.rows[row].cluster, labelOf(row), sizes[i], zeros, ...counts(row).slice(1)]);
  });
  const bottom = 20 + rows.length * VIOLIN_STEP;
  for (const share of [0, 0.5, 1]) {
    shapes.push({
      kind: "text",
      x: at(share * top),
      y: bottom + 12,
      text: figure(share * top),
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
