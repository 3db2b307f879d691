// Lists of genes in texts that people have: GMT, tables, names with genes.

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
