/**
 * What the page is given, for the TypeScript compiler only: no code comes of this file.
 *
 * The modules of this folder are plain scripts, joined into one function in the order of
 * `viewer/__init__.py`; so each sees what an earlier one declares at its top level.
 */

/** A row of the table: an annotated cluster, or a label of cells. */
interface Row {
  cluster: string;
  /** Label in force, null where there is none. */
  label: string | null;
  status: "ok" | "unknown" | "failed" | "skipped";
  confidence: number | null;
  n_cells: number | null;
  ontology_id: string | null;
  lineage: string | null;
  /** Broad, medium and fine, where the label has a term. */
  levels: (string | null)[];
  /** On a light and on a dark page. */
  color: [string, string];
  engine_label: string | null;
  engine_status: string | null;
  engine_ontology_id: string | null;
  alternatives: string[];
  supporting: string[];
  conflicting: string[];
  missing: string[];
  mixed: string[];
  /** Expected markers of the label and of its best alternative. */
  expected: Expected[];
  /** Why it wants a look: a code and a sentence each; the first weighs most. */
  attention: { code: string; text: string }[];
  /** Rows whose markers are most like this one's, nearest first: indices. */
  near: number[];
  /** Of the set of cells, or of the markers: what a decision is known by. */
  hash: string;
  basis: "cells" | "markers";
  /** Annotations of other engines, beside this one. */
  engines: { engine: string; label: string | null; confidence: number | null; status: string }[];
}

interface Expected {
  label: string;
  /** Not listed: of a marker table, whose genes that were measured are not known. */
  genes: { gene: string; state: "found" | "silent" | "not measured" | "not listed" }[];
}

interface Embedding {
  name: string;
  /** Whether the y axis points down, as in images of tissue. */
  spatial: boolean;
  /** Cells without coordinates. */
  missing: number;
}

interface Column {
  name: string;
  kind: "category" | "number";
  /** Of a category, in its order. */
  levels: string[];
  low: number | null;
  high: number | null;
  /** Of cellferry, as the label columns. */
  own: boolean;
}

interface Index {
  schema: "cellferry.page/1";
  /** Where blocks are fetched from, relative to the page; null in a file. */
  live: null | {
    base: string;
    decisions: string;
    writable: boolean;
    cells: boolean;
    compare: boolean;
    done: boolean;
    /** Where lists of genes are kept, null where they are not. */
    lists: string | null;
  };
  noun: "cluster" | "label";
  title: string;
  key: string | null;
  run: string | null;
  rows: Row[];
  /** Cells of the object; null for a marker table. */
  n_cells: number | null;
  cells: null | {
    /** Cells that the page has, in the order of the object. */
    n: number;
    /** Whether these are all. */
    all: boolean;
    embeddings: Embedding[];
    columns: Column[];
    /** Hash of the names of all cells in their order, for decisions about chosen cells. */
    hash: string | null;
  };
  /** Map of the rows themselves, where there are no cells: x and y between 0 and 1. */
  places: null | { x: number[]; y: number[] };
  genes: null | {
    n: number;
    /** Cells of each row that the summary is of. */
    sizes: number[];
    /** Positions of the genes with a value per cell (in a file; live: all). */
    values: number[];
    /** Positions of the genes with histograms. */
    histograms: number[];
    /** Upper end of the histograms' bins, by position in `histograms`. */
    tops: number[];
    /** Other name, upper case -> position: aliases and identifiers. */
    aliases: Record<string, number>;
    /** Base of the summary's means: see `meanOf()`. */
    least: number;
    most: number;
  };
  /** Of other assays, live: Seurat's key and the names. */
  features: { key: string; names: string[] }[];
  /** Marker tables of the rows: gene, log2 fold change, share here and elsewhere, adjusted p. */
  markers: {
    row: number;
    gene: string;
    lfc: number | null;
    here: number | null;
    elsewhere: number | null;
    p: number | null;
  }[];
  decisions: Decision[];
  /** Of genes, drawn earlier. */
  lists: { name: string; genes: string[] }[];
  /**
   * How the rows stand to labels of other columns: a digit for each category, a place in `names`. Below
   * `mostly` of agreeing cells a row wants a look. Null where no column has labels.
   */
  relations: null | { names: string[]; mostly: number; columns: Record<string, string[]> };
  /** What was left out to keep the file small, one sentence each. */
  dropped: string[];
}

/** A decision, as `Decisions()` lists it; the last one about a row counts. */
interface Decision {
  id: string;
  at: string;
  cluster: string | null;
  n_cells: number | null;
  decision: "accepted" | "relabelled" | "unknown" | "needs_work" | "withdrawn";
  label: string | null;
  ontology_id: string | null;
  by: string | null;
  reason: string | null;
  state: "in force" | "replaced" | "withdrawn" | "stale";
  /** Of a stale one: the clusters that most of its cells are in now. */
  offered?: string[];
}

/** What is decided: about a row, or about chosen cells (a bit mask, base64, first cell lowest). */
interface Wish {
  cluster?: string;
  cells?: string;
  decision: "accepted" | "relabelled" | "unknown" | "needs_work" | "withdrawn";
  label?: string | null;
  ontology_id?: string | null;
  reason?: string | null;
  by?: string | null;
}
