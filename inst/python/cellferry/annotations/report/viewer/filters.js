// Filters on columns, with counts that follow each other.

const FILTER_BINS = 40;
/** Categories above which a filter has a field to search them. */
const MANY_LEVELS = 12;

/**
 * @typedef {{from: number, to: number, under: boolean, over: boolean, bins: Uint8Array}} Binned a column of
 *   numbers, in bins between two values; 255 is missing, and what lies beyond is in the first and the last
 * @typedef {{root: any, update: (filter: Filter, counts: Uint32Array) => void}} FilterCard
 */

const filterNow = {
  turn: 0,
  count: /** @type {any} */ (null),
  clear: /** @type {any} */ (null),
  choose: /** @type {any} */ (null),
  place: /** @type {any} */ (null),
  add: /** @type {any} */ (null),
  /** @type {Map<number, FilterCard>} */ cards: new Map(),
  /** @type {Map<number, Promise<Binned>>} */ binned: new Map(),
};

/** The columns of the cells. */
const columnsOfCells = () => (index.cells ? index.cells.columns : []);

/** Build the filters, where there are cells. */
function startFilters() {
  const section = document.getElementById("filters");
  if (!section || !index.cells || !index.cells.n || !readsBlocks || !columnsOfCells().length) return;
  section.hidden = false;
  section.append(filterBar());
  filterNow.place = element("div", { class: "filter-cards" });
  section.append(filterNow.place);
  on(["filters"], applyFilters);
  on(["filters", "shown"], sayShown);
  startComposition(section);
  startAgreement(section);
  sayShown();
}

function filterBar() {
  filterNow.add = element("select", {
    id: "filter-add",
    onchange: () => {
      if (filterNow.add.value) addFilter(Number(filterNow.add.value));
      filterNow.add.value = "";
    },
  });
  filterNow.count = element("span", { id: "filter-count", role: "status" });
  filterNow.clear = element(
    "button",
    { type: "button", onclick: () => change({ filters: [] }) },
    "Clear filters",
  );
  filterNow.choose = element(
    "button",
    {
      type: "button",
      title: "Choose the cells that pass, as with the lasso",
      onclick: () => change({ chosen: state.shown && state.shown.slice() }),
    },
    "Choose these cells",
  );
  offerColumns();
  return element(
    "div",
    { class: "filter-bar" },
    element("label", { class: "map-choice" }, "Filter by ", filterNow.add),
    filterNow.count,
    filterNow.clear,
    filterNow.choose,
  );
}

function offerColumns() {
  const used = new Set(state.filters.map((f) => f.column));
  filterNow.add.replaceChildren(
    element("option", { value: "" }, "a column …"),
    ...columnsOfCells()
      .map(({ name }, i) => (used.has(i) ? null : element("option", { value: i }, name)))
      .filter(Boolean),
  );
}

/** Say how many cells pass. */
function sayShown() {
  const { cells } = index;
  if (!cells) return;
  const drawn = cells.all ? "cells" : "drawn cells";
  filterNow.count.textContent = state.shown
    ? `${whole(cellsIn(state.shown))} of ${whole(cells.n)} ${drawn}`
    : `all ${whole(cells.n)} ${drawn}`;
  filterNow.clear.hidden = !state.filters.length;
  filterNow.choose.hidden = !state.shown;
  offerColumns();
}

// ---- Changing filters

/** @param {number} column */
function addFilter(column) {
  if (state.filters.some((f) => f.column === column)) return;
  change({ filters: [...state.filters, { column, levels: null, low: null, high: null }] });
}

/** @param {number} column @param {Partial<Filter>} to */
function setFilter(column, to) {
  const others = state.filters.some((f) => f.column === column)
    ? state.filters
    : [...state.filters, { column, levels: null, low: null, high: null }];
  change({ filters: others.map((f) => (f.column === column ? { ...f, ...to } : f)) });
}

/** @param {number} column @param {Set<number> | null} levels */
function setLevels(column, levels) {
  setFilter(column, { levels });
}

/** All levels of a column, with the one of cells that have none. @param {number} column */
const allLevels = (column) => [...columnsOfCells()[column].levels.keys(), NOWHERE];

/** @param {number} column @param {number} level */
function toggleLevel(column, level) {
  const filter = state.filters.find((f) => f.column === column);
  const all = allLevels(column);
  const levels = new Set(filter?.levels ?? all);
  if (!levels.delete(level)) levels.add(level);
  setLevels(column, levels.size === all.length ? null : levels);
}

/** @param {number} column */
function removeFilter(column) {
  change({ filters: state.filters.filter((f) => f.column !== column) });
  filterNow.add.focus();
}

// ---- Applying them

/** Work out which cells pass, and the counts of each filter given the others. */
async function applyFilters() {
  const turn = ++filterNow.turn;
  const began = performance.now();
  const { filters } = state;
  const n = index.cells ? index.cells.n : 0;
  const given = await Promise.all(
    filters.map(async ({ column }) => {
      const read = await columnOf(column);
      return { ...read, binned: read.values ? await binnedOf(column) : null };
    }),
  );
  if (turn !== filterNow.turn) return;
  const failed = new Uint8Array(n),
    which = new Uint8Array(n);
  filters.forEach((filter, k) => {
    const { codes, values } = given[k];
    if (codes) failLevels(filter, codes, k, failed, which);
    else if (values) failRange(filter, values, k, failed, which);
  });
  const open = filters.every((f) => f.levels === null && f.low === null && f.high === null);
  const counts = filters.map((_, k) =>
    countsGivenOthers(given[k].codes ?? /** @type {Binned} */ (given[k].binned).bins, k, failed, which),
  );
  change({ shown: open ? null : failed.map((f) => Number(f === 0)) });
  showFilters(
    filters,
    given.map((g) => g.binned),
    counts,
  );
  performance.measure("cellferry:filter", { start: began, end: performance.now() });
}

/**
 * @param {Filter} filter @param {Uint16Array} codes @param {number} k @param {Uint8Array} failed
 * @param {Uint8Array} which
 */
function failLevels({ levels }, codes, k, failed, which) {
  if (!levels) return;
  const fails = new Uint8Array(NOWHERE + 1).fill(1);
  for (const level of levels) fails[level] = 0;
  for (let i = 0; i < codes.length; i++) {
    if (!fails[codes[i]]) continue;
    failed[i] += 1;
    which[i] = k;
  }
}

/**
 * @param {Filter} filter @param {Float32Array} values @param {number} k @param {Uint8Array} failed
 * @param {Uint8Array} which
 */
function failRange({ low, high }, values, k, failed, which) {
  if (low === null && high === null) return;
  // What is written with few digits is meant to be the float that is kept.
  const from = Math.fround(low ?? -Infinity),
    to = Math.fround(high ?? Infinity);
  for (let i = 0; i < values.length; i++) {
    if (values[i] >= from && values[i] <= to) continue;
    failed[i] += 1;
    which[i] = k;
  }
}

/**
 * @param {Uint16Array | Uint8Array} codes @param {number} k @param {Uint8Array} failed
 * @param {Uint8Array} which
 */
function countsGivenOthers(codes, k, failed, which) {
  const counts = new Uint32Array(NOWHERE + 1);
  for (let i = 0; i < codes.length; i++) {
    if (failed[i] === 0 || (failed[i] === 1 && which[i] === k)) counts[codes[i]] += 1;
  }
  return counts;
}

/** @param {number} column @returns {Promise<Binned>} */
function binnedOf(column) {
  const found = filterNow.binned.get(column);
  const promise =
    found || columnOf(column).then(({ values }) => binned(/** @type {Float32Array} */ (values)));
  filterNow.binned.set(column, promise);
  return promise;
}

/** @param {Float32Array} values @returns {Binned} */
function binned(values) {
  const sorted = sampleOf(values, Number.isFinite);
  const least = sorted[0] ?? 0,
    most = sorted[sorted.length - 1] ?? 1;
  const low = sorted[Math.floor(sorted.length * 0.005)] ?? 0,
    high = sorted[Math.ceil(sorted.length * 0.995) - 1] ?? 1;
  const [from, to] = high > low ? [low, high] : [least, most > least ? most : least + 1];
  const bins = new Uint8Array(values.length),
    step = FILTER_BINS / (to - from);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    bins[i] =
      value === value ? Math.min(Math.max(Math.floor((value - from) * step), 0), FILTER_BINS - 1) : 255;
  }
  return { from, to, under: least < from, over: most > to, bins };
}

// ---- What one sees of them

/** @param {Filter[]} filters @param {(Binned | null)[]} bins @param {Uint32Array[]} counts */
function showFilters(filters, bins, counts) {
  const { cards } = filterNow;
  const wanted = new Set(filters.map((f) => f.column));
  for (const [column, card] of cards) {
    if (wanted.has(column)) continue;
    card.root.remove();
    cards.delete(column);
  }
  filters.forEach((filter, k) => {
    if (!cards.has(filter.column)) {
      const of = bins[k];
      const card = of ? rangeCard(filter.column, of) : levelCard(filter.column);
      cards.set(filter.column, card);
      filterNow.place.append(card.root);
    }
    cards.get(filter.column)?.update(filter, counts[k]);
  });
}

/** @param {number} column @param {...(Node | null)} content */
function cardAround(column, ...content) {
  const { name } = columnsOfCells()[column];
  const close = element(
    "button",
    {
      type: "button",
      class: "plain",
      "aria-label": `Remove the filter by ${name}`,
      onclick: () => removeFilter(column),
    },
    "Remove",
  );
  return element("fieldset", { class: "filter-card" }, element("legend", {}, name), close, ...content);
}

/** @param {number} column @returns {FilterCard} */
function levelCard(column) {
  const { levels, name } = columnsOfCells()[column];
  const items = allLevels(column).map((level) => {
    const box = element("input", { type: "checkbox", onchange: () => toggleLevel(column, level) });
    const count = element("span", { class: "legend-n" });
    const item = element(
      "li",
      {},
      element("label", {}, box, element("span", { class: "level-name" }, levels[level] ?? "missing"), count),
    );
    return { level, box, count, item, name: (levels[level] ?? "missing").toLowerCase() };
  });
  const list = element("ul", { class: "filter-levels" }, ...items.map(({ item }) => item));
  const find =
    levels.length > MANY_LEVELS
      ? element("input", {
          type: "search",
          placeholder: "find",
          "aria-label": `Find in ${name}`,
          oninput: () =>
            items.forEach((one) => {
              one.item.hidden = !one.name.includes(find.value.toLowerCase());
            }),
        })
      : null;
  const both = element(
    "div",
    { class: "map-buttons" },
    element("button", { type: "button", class: "plain", onclick: () => setLevels(column, null) }, "All"),
    element(
      "button",
      { type: "button", class: "plain", onclick: () => setLevels(column, new Set()) },
      "None",
    ),
  );
  const update = (/** @type {Filter} */ filter, /** @type {Uint32Array} */ counts) => {
    for (const { level, box, count, item } of items) {
      box.checked = !filter.levels || filter.levels.has(level);
      count.textContent = whole(counts[level]);
      item.classList.toggle("empty", counts[level] === 0);
      // A category of cells without one is offered where there are some.
      if (level === NOWHERE) item.hidden = counts[level] === 0 && box.checked;
    }
  };
  return { root: cardAround(column, both, find, list), update };
}

/** @param {number} column @param {Binned} of @returns {FilterCard} */
function rangeCard(column, of) {
  const { name, low, high } = columnsOfCells()[column];
  const bars = Array.from({ length: FILTER_BINS }, (_, i) =>
    element("rect", { x: i + 0.06, width: 0.88, y: 0, height: 0 }),
  );
  const svg = element(
    "svg",
    {
      class: "filter-bins",
      viewBox: `0 0 ${FILTER_BINS} 40`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Distribution of ${name}, from ${figure(low ?? 0)} to ${figure(high ?? 0)}`,
    },
    ...bars,
  );
  const field = (
    /** @type {"low" | "high"} */ which,
    /** @type {string} */ text,
    /** @type {number | null} */ end,
  ) =>
    element("input", {
      type: "number",
      step: "any",
      "aria-label": `${name}, ${text}`,
      placeholder: end === null ? "" : String(Number(end.toPrecision(3))),
      oninput: (/** @type {any} */ e) =>
        setFilter(column, { [which]: e.target.value === "" ? null : Number(e.target.value) }),
    });
  const from = field("low", "at least", low),
    to = field("high", "at most", high);
  const missing = element("span", { class: "note muted" });
  brush(svg, of, (a, b) => setFilter(column, { low: a, high: b }));
  const ends = element(
    "div",
    { class: "bar-numbers" },
    ...endsOf({ ...of, low: of.from, high: of.to }).map((end) => element("span", {}, end)),
  );
  const update = (/** @type {Filter} */ filter, /** @type {Uint32Array} */ counts) => {
    const most = Math.max(...counts.subarray(0, FILTER_BINS), 1),
      step = (of.to - of.from) / FILTER_BINS;
    bars.forEach((bar, i) => {
      const height = counts[i] ? Math.max((38 * counts[i]) / most, 0.8) : 0;
      bar.setAttribute("y", String(40 - height));
      bar.setAttribute("height", String(height));
      const below = filter.low !== null && of.from + (i + 1) * step <= filter.low;
      const above = filter.high !== null && of.from + i * step > filter.high;
      bar.setAttribute("class", below || above ? "out" : "in");
    });
    for (const [input, value] of [
      [from, filter.low],
      [to, filter.high],
    ]) {
      if (document.activeElement !== input) input.value = value === null ? "" : String(value);
    }
    const open = filter.low === null && filter.high === null;
    const without = `${whole(counts[255])} without a value${open ? "" : ": left out"}`;
    missing.textContent = counts[255] ? without : "";
  };
  return {
    root: cardAround(column, svg, ends, element("div", { class: "filter-range" }, from, "to", to), missing),
    update,
  };
}

/**
 * Choose a range by drawing over a histogram.
 * @param {any} svg @param {Binned} of @param {(low: number, high: number) => void} take
 */
function brush(svg, of, take) {
  let start = NaN;
  const value = (/** @type {PointerEvent} */ event) => {
    const box = svg.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return Number((of.from + share * (of.to - of.from)).toPrecision(4));
  };
  svg.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    svg.setPointerCapture(event.pointerId);
    start = value(event);
  });
  svg.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
    const end = value(event);
    if (end !== start) take(Math.min(start, end), Math.max(start, end));
  });
}
