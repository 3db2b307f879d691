// The legend of the map: what each colour is, its counts, and what is hidden.

/** Entries of a legend at most; a column may have more categories. */
const MOST_ENTRIES = 200;
/** Entries that a file of a picture has room for. */
const MOST_IN_FILE = 60;

/**
 * @type {{box: any, buttons: {entry: Entry, button: any, count: any}[],
 *   groups: {button: any, rows: number[]}[], all: any}}
 */
const legendNow = { box: null, buttons: [], groups: [], all: null };

function buildLegend() {
  legendNow.box = element("div", { class: "map-legend", role: "group", "aria-label": "Legend" });
  return legendNow.box;
}

/** Draw the legend of what colours the cells. */
function showLegend() {
  const { painting } = theMap;
  if (!painting) return;
  const again = legendNow.box.contains(document.activeElement)
    ? document.activeElement?.getAttribute("data-entry")
    : null;
  legendNow.buttons = [];
  legendNow.groups = [];
  legendNow.all = element(
    "button",
    { type: "button", class: "plain", hidden: true, onclick: () => showAllOf(painting) },
    "Show all",
  );
  const head = element("div", { class: "legend-head" }, element("b", {}, painting.title), legendNow.all);
  legendNow.box.replaceChildren(
    head,
    painting.scale
      ? colourBar(painting)
      : element("div", { class: "legend-columns" }, ...entryLists(painting)),
  );
  updateLegend();
  if (again) legendNow.box.querySelector(`[data-entry="${CSS.escape(again)}"]`)?.focus();
}

/** @param {Painting} painting @returns {Node[]} */
function entryLists(painting) {
  const there = painting.entries
    .map((entry, i) => ({ entry, i }))
    .filter(({ entry }) => entry.n > 0 || entry.rows.length > 0);
  const shown =
    there.length > MOST_ENTRIES ? there.sort((a, b) => b.entry.n - a.entry.n).slice(0, MOST_ENTRIES) : there;
  /** @type {Map<string | null, {entry: Entry, i: number}[]>} */
  const groups = new Map();
  for (const one of shown) groups.set(one.entry.group, [...(groups.get(one.entry.group) || []), one]);
  const size = (/** @type {{entry: Entry}[]} */ of) => of.reduce((n, { entry }) => n + entry.n, 0);
  const sorted = [...groups].sort((a, b) => size(b[1]) - size(a[1]));
  const lists = sorted.flatMap(([group, of]) => {
    const alone = group === null || sorted.length === 1 || (of.length === 1 && of[0].entry.name === group);
    const list = element(
      "ul",
      alone ? {} : { "aria-label": group },
      ...of.map(({ entry, i }) => entryItem(entry, i)),
    );
    return alone
      ? [list]
      : [
          groupHead(
            /** @type {string} */ (group),
            of.flatMap(({ entry }) => entry.rows),
          ),
          list,
        ];
  });
  const more = there.length - shown.length;
  return more ? [...lists, element("p", { class: "note muted" }, `and ${whole(more)} smaller ones`)] : lists;
}

/** @param {string} name @param {number[]} rows */
function groupHead(name, rows) {
  const button = element(
    "button",
    {
      type: "button",
      class: "legend-group",
      "aria-pressed": "true",
      title: "Show or hide all of them",
      onclick: () => toggleRows(rows),
    },
    name,
  );
  legendNow.groups.push({ button, rows });
  return button;
}

/** @param {Entry} entry @param {number} i */
function entryItem(entry, i) {
  const count = element("span", { class: "legend-n" });
  const button = element(
    "button",
    {
      type: "button",
      class: "legend-entry",
      "aria-pressed": "true",
      "data-entry": String(i),
      onclick: () => toggleEntry(entry),
    },
    element("i", { style: `background:${entry.colour()}`, "aria-hidden": "true" }),
    element(
      "span",
      { class: "legend-name" },
      entry.name,
      entry.detail ? element("small", {}, entry.detail) : null,
    ),
    count,
  );
  const only = element(
    "button",
    {
      type: "button",
      class: "legend-only",
      "aria-label": `Only ${entry.name}`,
      title: "Only this",
      onclick: () => onlyEntry(entry),
    },
    "only",
  );
  legendNow.buttons.push({ entry, button, count });
  return element("li", {}, button, only);
}

/**
 * The ends of a scale, and whether there is more beyond them.
 * @param {{low: number, high: number, under: boolean, over: boolean}} scale
 */
const endsOf = ({ low, high, under, over }) => [
  (under ? "≤ " : "") + figure(low),
  (over ? "≥ " : "") + figure(high),
];

/** The scale of numbers. @param {Painting} painting */
function colourBar(painting) {
  const scale = /** @type {NonNullable<Painting["scale"]>} */ (painting.scale);
  const [low, high] = endsOf(scale);
  const stops = Array.from({ length: 12 }, (_, i) => rampAt(i / 11)).join(",");
  return element(
    "div",
    { class: "colour-bar" },
    element("div", {
      class: "bar-colours",
      style: `background:linear-gradient(to right,${stops})`,
      "aria-hidden": "true",
    }),
    element(
      "div",
      { class: "bar-numbers" },
      element("span", {}, low),
      element("span", {}, figure((scale.low + scale.high) / 2)),
      element("span", {}, high),
    ),
    element(
      "div",
      { class: "bar-none" },
      element("i", { style: `background:${pageColours().grey}`, "aria-hidden": "true" }),
      scale.none,
    ),
  );
}

/** Counts, and what is hidden, as they are now. */
function updateLegend() {
  const { painting } = theMap;
  if (!painting || !legendNow.all) return;
  const counts = painting.scale ? null : countsOf(painting.codes, state.shown);
  for (const { entry, button, count } of legendNow.buttons) {
    const codes = entry.level === null ? entry.rows : [entry.level];
    const n = counts ? codes.reduce((sum, code) => sum + counts[code], 0) : 0;
    count.textContent = whole(n);
    button.title =
      n === entry.n ? "Show or hide" : `${whole(n)} of ${whole(entry.n)} pass the filters. Show or hide`;
    button.setAttribute("aria-pressed", String(isShown(painting, entry)));
  }
  for (const { button, rows } of legendNow.groups)
    button.setAttribute("aria-pressed", String(!rows.every((r) => state.hidden.has(r))));
  const filtered = painting.column !== null && state.filters.some((f) => f.column === painting.column);
  legendNow.all.hidden = !state.hidden.size && !filtered;
}

/** @param {Painting} painting @param {Entry} entry */
function isShown(painting, entry) {
  if (entry.level === null) return !entry.rows.every((row) => state.hidden.has(row));
  const filter = state.filters.find((f) => f.column === painting.column);
  return !filter || !filter.levels || filter.levels.has(entry.level);
}

/** @param {Entry} entry */
function toggleEntry(entry) {
  const { painting } = theMap;
  if (entry.level === null) toggleRows(entry.rows);
  else if (painting && painting.column !== null) toggleLevel(painting.column, entry.level);
}

/** @param {number[]} rows */
function toggleRows(rows) {
  const hidden = new Set(state.hidden);
  const hide = !rows.every((row) => hidden.has(row));
  for (const row of rows)
    if (hide) hidden.add(row);
    else hidden.delete(row);
  change({ hidden });
}

/** Show one entry alone, or all again if it is alone already. @param {Entry} entry */
function onlyEntry(entry) {
  const { painting } = theMap;
  if (!painting) return;
  if (painting.entries.every((other) => other.n === 0 || isShown(painting, other) === (other === entry)))
    return showAllOf(painting);
  if (entry.level !== null && painting.column !== null)
    return setLevels(painting.column, new Set([entry.level]));
  const kept = new Set(entry.rows);
  // 65535: cells that are in no row.
  change({ hidden: new Set([...index.rows.keys(), NOWHERE].filter((row) => !kept.has(row))) });
}

/** @param {Painting} painting */
function showAllOf(painting) {
  if (painting.column !== null)
    change({ filters: state.filters.filter((f) => f.column !== painting.column) });
  if (state.hidden.size) change({ hidden: new Set() });
}

// ---- In files

/**
 * An entry as files have it.
 * @param {number} x
 * @param {number} y
 * @param {Entry} entry
 * @param {number} letters that have room
 * @returns {Shape[]}
 */
const entryShapes = (x, y, entry, letters) => [
  { kind: "circle", x: x + 6, y, r: 5.5, fill: entry.colour() },
  {
    kind: "text",
    x: x + 20,
    y,
    text: shortened(entry.name, letters),
    size: 12.5,
    fill: pageColours().ink,
  },
];

/** The legend beside the map. @param {number} left */
function legendShapes(left) {
  const painting = /** @type {Painting} */ (theMap.painting);
  const { ink, muted } = pageColours();
  const width = 260,
    line = 20;
  /** @type {Shape[]} */
  const shapes = [
    { kind: "text", x: left, y: 20, text: shortened(painting.title, 34), size: 14, weight: 600, fill: ink },
  ];
  const note = (
    /** @type {number} */ x,
    /** @type {number} */ y,
    /** @type {string} */ text,
    /** @type {"start" | "end"} */ anchor = "start",
  ) => shapes.push({ kind: "text", x, y, text, anchor, fill: muted });
  let y = 46;
  if (painting.scale) {
    for (let i = 0; i < 100; i++)
      shapes.push({ kind: "rect", x: left + i * 2.2, y, w: 2.4, h: 12, fill: rampAt(i / 99) });
    const [low, high] = endsOf(painting.scale);
    note(left, y + 24, low);
    note(left + 220, y + 24, high, "end");
    return { width, height: y + 40, shapes };
  }
  const drawn = painting.entries.filter((entry) => entry.n > 0 && isShown(painting, entry));
  for (const entry of drawn.slice(0, MOST_IN_FILE)) {
    shapes.push(...entryShapes(left, y, entry, 28));
    note(left + width - 12, y, whole(entry.n), "end");
    y += line;
  }
  const more = drawn.length - MOST_IN_FILE;
  if (more > 0) note(left, y, `and ${whole(more)} more`);
  return { width, height: y + line, shapes };
}
