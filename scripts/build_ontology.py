"""Build inst/python/cellferry/data/cell_ontology.json.gz from the cellxgene-ontology-guide wheel.

Run when a newer release of the Cell Ontology is wanted, with a Python that has zstandard:

    pip download --no-deps cellxgene-ontology-guide==1.11.1 -d /tmp/wheels
    python scripts/build_ontology.py /tmp/wheels/cellxgene_ontology_guide-1.11.1-*.whl

The wheel is 98 MB and contains many ontologies; the extract is about 0.1 MB. Only what names,
relates and replaces terms is kept: labels, synonyms, direct parents, obsolete terms.
"""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "inst/python/cellferry/data/cell_ontology.json.gz"


def read(wheel: Path) -> tuple[str, dict[str, dict]]:
    import zstandard

    folder = "cellxgene_ontology_guide/data/"
    with zipfile.ZipFile(wheel) as archive:
        info = json.loads(archive.read(f"{folder}latest_ontology_info.json"))
        version = info["ontologies"]["CL"]["version"]
        packed = archive.read(f"{folder}CL-ontology-{version}.json.zst")
    return version, json.loads(zstandard.ZstdDecompressor().decompress(packed))


def compact(terms: dict[str, dict]) -> dict[str, list]:
    """Return id -> [label, synonyms, parents, (replacement, alternatives if obsolete)]."""
    found = {}
    for identifier, term in sorted(terms.items()):
        if not identifier.startswith("CL:") or not term["label"]:
            continue
        parents = sorted(a for a, steps in term["ancestors"].items() if steps == 1)
        row = [
            term["label"],
            sorted(term.get("synonyms", ())),
            [p.removeprefix("CL:") for p in parents],
        ]
        if term["deprecated"]:
            row += [term.get("replaced_by"), term.get("consider", [])]
        found[identifier.removeprefix("CL:")] = row
    return found


def main() -> None:
    wheel = Path(sys.argv[1])
    version, terms = read(wheel)
    content = {
        "source": f"Cell Ontology {version} (CC BY 4.0), from {wheel.name.rsplit('-py3', 1)[0]}",
        "version": version.removeprefix("v"),
        "terms": compact(terms),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # No name and no time in the header, so that the same input gives the same bytes.
    with TARGET.open("wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
        packed.write(text.encode())
    print(f"{TARGET.name}: {len(content['terms'])} terms, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
