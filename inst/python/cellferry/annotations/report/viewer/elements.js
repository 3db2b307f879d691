// The parts that the page is made of: elements, tables, files, sections that wait until they are near.

/**
 * An element with attributes and children; text is text and never markup.
 * @param {string} name
 * @param {Record<string, any>} [attributes] `on…` are listeners, `class`, `data-…`; true is an empty attribute
 * @param {(Node | string | null | undefined)[]} children
 * @returns {any}
 */
function element(name, attributes = {}, ...children) {
  const made = SVG_NAMES.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on") && typeof value === "function") made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(
    ...children
      .filter((child) => child !== null && child !== undefined)
      .map((child) => /** @type {Node | string} */ (child)),
  );
  return made;
}

const SVG_NAMES = new Set([
  "svg",
  "g",
  "path",
  "rect",
  "circle",
  "line",
  "text",
  "tspan",
  "polygon",
  "polyline",
  "defs",
  "clipPath",
  "desc",
]);

/** Say something to those who do not see the pictures. @param {string} text */
function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

/** @param {(string | number)[]} names */
const tableHead = (names) =>
  element(
    "thead",
    {},
    element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, String(name)))),
  );

/** A region that scrolls by itself where its content is wide. @param {string} name @param {Node[]} children */
const wideRegion = (name, ...children) =>
  element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": name }, ...children);

/**
 * A table of texts and numbers; the first row names the columns.
 * @param {string} caption
 * @param {Table} rows
 */
function figuresTable(caption, [names, ...rows]) {
  const cell = (/** @type {string | number | null} */ value, /** @type {number} */ i) => {
    const text = typeof value === "string" ? value : figure(value);
    return i ? element("td", {}, text) : element("th", { scope: "row" }, text);
  };
  return element(
    "table",
    { class: "figures" },
    element("caption", {}, caption),
    tableHead(names.map(String)),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
}

/** Hand a file to the person. @param {string} name @param {Blob} content */
function download(name, content) {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/**
 * A button that hands out a file.
 * @param {"CSV" | "PNG" | "SVG"} kind
 * @param {string} what
 * @param {() => void} call
 */
function fileButton(kind, what, call) {
  const name = `Download ${what} as ${kind}`;
  return element("button", { type: "button", title: name, "aria-label": name, onclick: call }, kind);
}

/** @typedef {(string | number | null)[][]} Table the names of its columns first */

/** CSV of rows of texts and numbers, in which nothing is a formula. @param {Table} rows */
function csvOf(rows) {
  const cell = (/** @type {string | number | null} */ value) => {
    if (typeof value === "number") return String(value);
    const text = value === null ? "" : /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return new Blob([rows.map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" });
}

/** Fields of a line of CSV, of any separator, with quotes. @param {string} text @param {string} separator */
function fieldsOf(text, separator) {
  /** @type {string[][]} */
  const lines = [];
  let line = /** @type {string[]} */ ([]),
    field = "",
    quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') field += text[++i];
      else if (c === '"') quoted = false;
      else field += c;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === separator) [line, field] = [[...line, field], ""];
    else if (c === "\n") {
      lines.push([...line, field.replace(/\r$/, "")]);
      [line, field] = [[], ""];
    } else field += c;
  }
  if (field || line.length) lines.push([...line, field]);
  return lines;
}

/**
 * A section that is drawn when it is near what is seen.
 * @typedef {{near: boolean, stale: boolean, draw: () => void}} Near `draw` sets that it is not stale
 */

/** It has changed: draw it now if it is near, else later. @param {Near} section */
function drawWhenNear(section) {
  section.stale = true;
  if (section.near) section.draw();
}

/** @param {Element} place @param {Near} section */
function watchNear(place, section) {
  new IntersectionObserver(
    ([entry]) => {
      section.near = entry.isIntersecting;
      if (section.near && section.stale) section.draw();
    },
    { rootMargin: "600px" },
  ).observe(place);
}
