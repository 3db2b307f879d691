// What the cells that pass the filters are composed of: each category by label.

/**
 * @typedef {{levels: {name: string, n: number, level: number}[], entries: Entry[],
 *   count: (level: number, entry: number) => number}} Composed
 */

/** Bars of a composition. */
const MOST_BARS = 60;
/** What columns of samples are mostly called: the composition begins with one. */
const OF_SAMPLES = /sample|donor|patient|orig\.?ident|batch|individual|subject|library/i;

const composition = {
  turn: 0,
  column: -1,
  by: "label",
  bars: /** @type {any} */ (null),
  table: /** @type {any} */ (null),
  note: /** @type {any} */ (null),
  key: /** @type {any} */ (null),
  /** @type {Composed | null} */ now: null,
};

/** @param {HTMLElement} section */
function startComposition(section) {
  const columns = columnsOfCells()
    .map((column, i) => ({ ...column, i }))
    .filter((c) => c.kind === "category" && c.levels.length > 0);
  if (!columns.length) return;
  const likely =
    columns.find((c) => OF_SAMPLES.test(c.name) && !c.own) ||
    columns.find((c) => !c.own && c.levels.length > 1) ||
    columns[0];
  composition.column = likely.i;
  const of = element(
    "select",
    {
      id: "composition-of",
      onchange: () => {
        composition.column = Number(of.value);
        compose();
      },
    },
    ...columns.map(({ name, i }) => element("option", { value: i }, name)),
  );
  of.value = String(likely.i);
  const by = element(
    "select",
    {
      id: "composition-by",
      onchange: () => {
        composition.by = by.value;
        compose();
      },
    },
    ...plainChoices().filter((option) => option.value !== "confidence"),
  );
  composition.bars = element("div", { class: "stacks", role: "img" });
  composition.key = element("ul", { class: "stack-key", "aria-label": "Legend" });
  composition.note = element("p", { class: "note muted" });
  composition.table = wideRegion("Composition");
  section.append(
    element("h3", {}, "Composition"),
    element(
      "div",
      { class: "filter-bar" },
      element("label", { class: "map-choice" }, "Of ", of),
      element("label", { class: "map-choice" }, "by ", by),
      element(
        "div",
        { class: "map-buttons" },
        fileButton("CSV", "the composition", withScene(saveCsv)),
        fileButton("PNG", "the composition", withScene(savePng)),
        fileButton("SVG", "the composition", withScene(saveSvg)),
      ),
    ),
    composition.bars,
    composition.key,
    composition.note,
    element(
      "details",
      { class: "composition-table" },
      element("summary", {}, "Counts and shares"),
      composition.table,
    ),
  );
  on(["shown", "chosen", "decisions"], compose);
  onScheme(showComposition);
  compose();
}

/** @returns {Colouring} */
function composedBy() {
  const [by, level] = composition.by.split(":");
  if (by === "level") return { by, level: Number(level) };
  return { by: by === "cluster" || by === "decision" ? by : "label" };
}

/** Count the cells that pass, and are chosen, of each category and group. */
async function compose() {
  const turn = ++composition.turn;
  const { levels } = columnsOfCells()[composition.column];
  let painting, codes;
  try {
    [painting, { codes }] = await Promise.all([paintingOf(composedBy()), columnOf(composition.column)]);
  } catch (error) {
    composition.note.textContent = reasonOf(error, "The column cannot be read.");
    return;
  }
  if (turn !== composition.turn || !codes) return;
  const { shown, chosen } = state;
  // The last of each are for cells without a category, and in no group.
  const width = painting.entries.length + 1,
    counts = new Uint32Array((levels.length + 1) * width);
  for (let i = 0; i < codes.length; i++) {
    if ((shown && !shown[i]) || (chosen && !chosen[i])) continue;
    const entry = painting.entryOf[painting.codes[i]];
    counts[Math.min(codes[i], levels.length) * width + Math.min(entry, width - 1)] += 1;
  }
  const count = (/** @type {number} */ level, /** @type {number} */ entry) => counts[level * width + entry];
  const sums = [...levels, "missing"].map((name, level) => ({
    name,
    level,
    n: counts.subarray(level * width, (level + 1) * width).reduce((a, b) => a + b, 0),
  }));
  /** @type {Entry} */
  const none = {
    name: `in no ${index.noun}`,
    detail: "",
    group: null,
    rows: [],
    level: NOWHERE,
    n: 0,
    colour: () => pageColours().grey,
  };
  composition.now = { levels: sums.filter(({ n }) => n > 0), entries: [...painting.entries, none], count };
  showComposition();
}

/** Groups that have a cell, by their place. @param {Composed} of */
const groupsOf = (of) =>
  of.entries
    .map((entry, i) => ({ entry, i }))
    .filter(({ i }) => of.levels.some(({ level }) => of.count(level, i) > 0));

/** @param {Composed["levels"][0]} bar @param {Composed} of @param {{entry: Entry, i: number}[]} groups */
function stackOf({ name, level, n }, of, groups) {
  const parts = groups
    .map(({ entry, i }) => ({ entry, count: of.count(level, i) }))
    .filter((p) => p.count > 0);
  const spans = parts.map(({ entry, count }) =>
    element("span", {
      style: `flex-grow:${count};background:${entry.colour()}`,
      title: `${name}, ${entry.name}: ${whole(count)} (${percent(count / n)})`,
    }),
  );
  return element(
    "div",
    { class: "stack" },
    element("span", { class: "stack-name", title: name }, name),
    element("span", { class: "stack-bar" }, ...spans),
    element("span", { class: "legend-n" }, whole(n)),
  );
}

function showComposition() {
  const of = composition.now;
  if (!of) return;
  const groups = groupsOf(of),
    bars = of.levels.slice(0, MOST_BARS);
  const title = columnsOfCells()[composition.column].name;
  composition.bars.setAttribute(
    "aria-label",
    `Stacked bars: share of each ${composition.by.split(":")[0]} in each ${title}. The table has the numbers.`,
  );
  composition.bars.replaceChildren(...bars.map((bar) => stackOf(bar, of, groups)));
  composition.key.replaceChildren(
    ...groups.map(({ entry }) =>
      element(
        "li",
        {},
        element("i", { style: `background:${entry.colour()}`, "aria-hidden": "true" }),
        entry.name,
      ),
    ),
  );
  composition.note.textContent = noteOnComposition(of);
  composition.table.replaceChildren(compositionTable(of, groups, title));
}

/** @param {Composed} of */
function noteOnComposition(of) {
  const n = of.levels.reduce((sum, level) => sum + level.n, 0);
  const which = state.chosen ? "chosen " : "",
    drawn = index.cells?.all ? "" : "drawn ";
  const parts = [`Of ${whole(n)} ${which}${drawn}cells${state.shown ? " that pass the filters" : ""}.`];
  if (of.levels.length > MOST_BARS)
    parts.push(`The first ${MOST_BARS} of ${whole(of.levels.length)} are drawn; the table has all.`);
  return parts.join(" ");
}

/** @param {Composed} of @param {{entry: Entry, i: number}[]} groups @param {string} title */
function compositionTable(of, groups, title) {
  const rows = of.levels.map(({ name, level, n }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", {}, whole(n)),
      ...groups.map(({ i }) =>
        element(
          "td",
          {},
          whole(of.count(level, i)),
          element("small", {}, ` ${percent(of.count(level, i) / n)}`),
        ),
      ),
    ),
  );
  return element(
    "table",
    { class: "figures composed" },
    tableHead([title, "cells", ...groups.map(({ entry }) => entry.name)]),
    element("tbody", {}, ...rows),
  );
}

/** The counts, one line each. @param {Composed} of @param {string} title @returns {Table} */
function compositionFigures(of, title) {
  const lines = of.levels.flatMap(({ name, level, n }) =>
    groupsOf(of).map(({ entry, i }) => [
      name,
      entry.name,
      of.count(level, i),
      Number((of.count(level, i) / n).toPrecision(6)),
    ]),
  );
  return [[title, composition.by.replace(":", "_"), "n_cells", "share"], ...lines];
}

/** The bars and their legend, for files. @param {Composed} of @returns {Scene} */
function compositionScene(of) {
  const colours = pageColours(),
    groups = groupsOf(of),
    title = columnsOfCells()[composition.column].name;
  const [left, wide, line, top] = [190, 560, 26, 44];
  /** @type {Shape[]} */
  const shapes = [{ kind: "text", x: 16, y: 20, text: title, size: 14, weight: 600, fill: colours.ink }];
  const bars = of.levels.slice(0, MOST_BARS);
  bars.forEach(({ name, level, n }, k) => {
    const y = top + k * line + 9;
    shapes.push(
      {
        kind: "text",
        x: left - 10,
        y,
        text: shortened(name, 26),
        size: 12.5,
        anchor: "end",
        fill: colours.ink,
      },
      { kind: "text", x: left + wide + 10, y, text: whole(n), fill: colours.muted },
    );
    let x = left;
    for (const { entry, i } of groups) {
      const w = (wide * of.count(level, i)) / n;
      if (w > 0) shapes.push({ kind: "rect", x, y: y - 9, w, h: 18, fill: entry.colour() });
      x += w;
    }
  });
  groups.forEach(({ entry }, k) =>
    shapes.push(...entryShapes(left + wide + 90, top + 9 + k * 20, entry, 30)),
  );
  return {
    name: `composition_${fileName(title)}`,
    title: `Composition of ${title}`,
    text: noteOnComposition(of),
    width: left + wide + 330,
    height: top + Math.max(bars.length * line, groups.length * 20) + 20,
    shapes,
    table: compositionFigures(of, title),
    background: colours.page,
    font: PAGE_FONT,
    scale: 2,
  };
}

/** @param {(scene: Scene) => void} save */
const withScene = (save) => () => composition.now && save(compositionScene(composition.now));
