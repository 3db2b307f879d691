// How things are said: numbers, names, and texts that have to fit.

/** Whole numbers with thin spaces, as the rest of the page has them. @param {number} n */
const whole = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** A number as one reads it; null is none. @param {number | null} n */
function figure(n) {
  if (n === null) return "–";
  if (!Number.isFinite(n)) return "missing";
  if (Number.isInteger(n) || Math.abs(n) >= 1000) return n < 0 ? `−${whole(-n)}` : whole(n);
  return String(Number(n.toPrecision(3))).replace("-", "−");
}

/** @param {number} share of 1 */
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** @param {number} n @param {string} one @param {string} [many] */
const counted = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

/** How a row is called in sentences. @param {number} row */
const rowName = (row) =>
  index.noun === "label" ? index.rows[row].cluster : `${index.noun} ${index.rows[row].cluster}`;

/** Name of a row at the side of a picture and in choices. @param {number} row */
function rowTitle(row) {
  const { cluster } = index.rows[row];
  return index.noun === "label" ? cluster : `${cluster} · ${labelOf(row) ?? "no label"}`;
}

/** What a decision is in the table and in the history. @param {Decision["decision"]} decision */
const decisionWords = (decision) => decision.replace("_", " ");

/**
 * What a picture shows as one line, and XML can have; marks that turn the direction of text have no
 * place in it.
 * @param {string} text
 */
const oneLine = (text) =>
  text
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, " ")
    .replace(/[\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd")
    .trim();

/** @param {string} text */
const spacesJoined = (text) => text.trim().split(/\s+/).join(" ");

/** @param {string} text */
const lettersOf = (text) => Array.from(text).length;

/**
 * A text that has room, else its beginning.
 * @param {string} text
 * @param {number} room
 * @param {(text: string) => number} sizeOf letters, unless said otherwise
 */
function shortened(text, room, sizeOf = lettersOf) {
  if (sizeOf(text) <= room) return text;
  const letters = Array.from(text);
  const begin = (/** @type {number} */ n) => letters.slice(0, n).join("").trimEnd() + "…";
  let [fits, most] = [1, letters.length - 1];
  while (fits < most) {
    const middle = Math.ceil((fits + most) / 2);
    if (sizeOf(begin(middle)) <= room) fits = middle;
    else most = middle - 1;
  }
  return begin(fits);
}

/** A text as part of the name of a file. @param {string} text */
const fileName = (text) => text.replace(/[^\w.-]+/g, "_").slice(0, 60);
