// Genes and terms by their names: which one a person means, what completes a text, what is near.

/**
 * @typedef {object} GeneOffer a gene, or a feature of an assay
 * @property {string} value its name
 * @property {string} note
 * @property {number} gene its position; -1 where there are markers only
 * @property {number | null} assay
 *
 * @typedef {{names: string[], upper: string[], places: Map<string, number>}} KnownGenes `places` by name, and
 *   by the name in capitals
 */

/** Completions that are offered at once. */
const MOST_OFFERED = 12;
const MOST_NEAR = 5;
/** Letters of a name that are compared with others. */
const LONGEST_COMPARED = 40;

/** @type {Promise<KnownGenes> | null} */
let genesByName = null;

/** All genes of the page, as lists have thousands; where there are no cells, those of the markers. */
function knownGenes() {
  const all = index.genes ? geneNames() : Promise.resolve([...new Set(index.markers.map((m) => m.gene))]);
  genesByName ??= all.then((names) => {
    const upper = names.map((name) => name.toUpperCase());
    const places = new Map();
    for (const of of [names, upper])
      for (const [i, name] of of.entries()) if (!places.has(name)) places.set(name, i);
    return { names, upper, places };
  });
  genesByName.catch(() => (genesByName = null));
  return genesByName;
}

/** @param {string} value @param {number} place @param {string} [note] @returns {GeneOffer} */
const geneOffer = (value, place, note = "") => ({ value, note, gene: index.genes ? place : -1, assay: null });

/** @param {(name: string) => boolean} fits a name in capitals @returns {GeneOffer[]} */
function featuresWith(fits) {
  /** @type {GeneOffer[]} */
  const found = [];
  index.features.forEach(({ key, names }, assay) =>
    names.forEach((plain, gene) => {
      const value = key + plain;
      if (found.length < MOST_OFFERED && (fits(value.toUpperCase()) || fits(plain.toUpperCase())))
        found.push({ value, note: "", gene, assay });
    }),
  );
  return found;
}

/**
 * The gene that a person means: in any case, by an alias; null where there is none.
 * @param {string} text
 * @param {boolean} [withFeatures] by its key, a feature of an assay too
 * @returns {Promise<GeneOffer | null>}
 */
async function geneMeant(text, withFeatures = false) {
  const name = text.trim(),
    upper = name.toUpperCase();
  if (!name) return null;
  const { names, places } = await knownGenes();
  const aliases = index.genes ? index.genes.aliases : {};
  const alias = Object.hasOwn(aliases, upper) ? aliases[upper] : undefined;
  const place = places.get(name) ?? places.get(upper) ?? alias;
  if (place !== undefined) return geneOffer(names[place], place);
  const [feature] = withFeatures ? featuresWith((other) => other === upper) : [];
  return feature ?? null;
}

/**
 * Genes whose name, or an alias, begins with a text, then those that have it within.
 * @param {string} text
 * @param {boolean} [withFeatures]
 * @returns {Promise<GeneOffer[]>}
 */
async function genesLike(text, withFeatures = false) {
  const wanted = text.trim().toUpperCase();
  if (!wanted) return [];
  const { names, upper } = await knownGenes();
  const begin = [],
    within = [];
  for (let i = 0; i < upper.length; i++) {
    const place = upper[i].indexOf(wanted);
    if (place === 0) begin.push(geneOffer(names[i], i));
    else if (place > 0 && within.length < MOST_OFFERED) within.push(geneOffer(names[i], i));
  }
  begin.sort((a, b) => a.value.length - b.value.length);
  const aliased =
    begin.length >= MOST_OFFERED || !index.genes
      ? []
      : Object.entries(index.genes.aliases)
          .filter(([alias]) => alias.startsWith(wanted))
          .slice(0, MOST_OFFERED)
          .map(([alias, place]) => geneOffer(names[place], place, alias));
  const features = (/** @type {(name: string) => boolean} */ fits) =>
    withFeatures ? featuresWith(fits) : [];
  const found = [
    ...begin.slice(0, MOST_OFFERED),
    ...features((name) => name.startsWith(wanted)),
    ...aliased,
    ...within,
    ...features((name) => name.includes(wanted)),
  ];
  const seen = new Set();
  return found
    .filter(({ assay, value }) => !seen.has(`${assay}/${value}`) && seen.add(`${assay}/${value}`))
    .slice(0, MOST_OFFERED);
}

/** Genes with few changes from what was written. @param {string} text */
async function genesNear(text) {
  const wanted = text.trim().toUpperCase().slice(0, LONGEST_COMPARED);
  const most = Math.max(1, Math.min(3, Math.floor(wanted.length / 2)));
  const { names, upper } = await knownGenes();
  const found = [];
  for (let i = 0; i < upper.length; i++) {
    const apart = changesBetween(wanted, upper[i], most);
    if (apart <= most) found.push({ i, apart });
  }
  found.sort((a, b) => a.apart - b.apart || a.i - b.i);
  return found.slice(0, MOST_NEAR).map(({ i }) => geneOffer(names[i], i));
}

/** Levenshtein's distance, or more than `most`. @param {string} a @param {string} b @param {number} most */
function changesBetween(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      now.push(Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + Number(a[i - 1] !== b[j - 1])));
      least = Math.min(least, now[j]);
    }
    if (least > most) return most + 1;
    before = now;
  }
  return before[b.length];
}

/** The term of the Cell Ontology that a text names, by label or synonym. @param {string} text */
async function termNamed(text) {
  const wanted = spacesJoined(text).toLowerCase();
  const all = await terms().catch(() => []);
  const found =
    all.find((t) => t.label.toLowerCase() === wanted || t.id.toLowerCase() === wanted) ||
    all.find((t) => t.synonyms.some((synonym) => synonym.toLowerCase() === wanted));
  return found ?? null;
}

/**
 * Terms that a text may mean.
 * @param {string} text
 * @returns {Promise<{value: string, note: string, id: string}[]>}
 */
async function termsLike(text) {
  const wanted = spacesJoined(text).toLowerCase();
  if (wanted.length < 2) return [];
  const found = [];
  for (const { id, label, synonyms } of await terms()) {
    const place = label.toLowerCase().indexOf(wanted);
    const synonym = place < 0 ? synonyms.find((s) => s.toLowerCase().includes(wanted)) : undefined;
    if (place < 0 && synonym === undefined && !id.toLowerCase().startsWith(wanted)) continue;
    const rank = place === 0 ? 0 : place > 0 ? 2 : synonym?.toLowerCase().startsWith(wanted) ? 1 : 3;
    found.push({ value: label, note: synonym ? `${id}, ${synonym}` : id, id, rank });
  }
  return found.sort((a, b) => a.rank - b.rank || a.value.length - b.value.length).slice(0, MOST_OFFERED);
}
