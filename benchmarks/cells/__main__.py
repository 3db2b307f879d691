"""`make bench-cells`: agreement, speed, streaming, the way from R; prints figures only.

python -m benchmarks.cells [agreement] [speed] [stream] [from_r] [--cells N]
"""

import argparse
import collections
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

from cellferry import annotate_cells
from cellferry.engines.local.knowledge.packaged import packaged_knowledge

from .memory import most_megabytes

MOST_FROM_R = 20_000

LINEAGES = {
    "T": "T cell", "NK": "NK cell", "B": "B lineage cell", "Myeloid": "Mononuclear phagocyte",
    "Precursor": "Hematopoietic precursor cell",
}  # fmt: skip
BULK = {
    "CD4+/CD25 T Reg": "T", "CD4+/CD45RA+/CD25- Naive T": "T", "CD4+/CD45RO+ Memory": "T",
    "CD8+ Cytotoxic T": "T", "CD8+/CD45RA+ Naive Cytotoxic": "T", "CD14+ Monocyte": "Myeloid",
    "Dendritic": "Myeloid", "CD19+ B": "B", "CD56+ NK": "NK", "CD34+": "Precursor",
}  # fmt: skip


def lineage_of(label):
    table = packaged_knowledge()
    if label not in table.by_name:
        return None
    above = {label, *table.ancestors[label]}
    return next((k for k, name in LINEAGES.items() if name in above), None)


def agreement():
    """Per-cell calls of 700 blood cells against `bulk_labels`, at the level of lineages."""
    import scanpy

    for smooth in (False, True):
        adata = scanpy.datasets.pbmc68k_reduced()
        found = annotate_cells(adata, smooth=smooth, progress=False)
        truth = [BULK[x] for x in adata.obs["bulk_labels"]]
        for column in ("raw", "voted", "label"):
            called = [lineage_of(x) for x in getattr(found, column).values()]
            table = collections.Counter(zip(truth, called, strict=True))
            n = len(truth)
            right = sum(k for (a, b), k in table.items() if a == b)
            wrong = sum(k for (a, b), k in table.items() if b is not None and a != b)
            print(
                f"pbmc68k_reduced, smooth={smooth}, {column}: {right} of {n} right "
                f"({100 * right / n:.1f} %), {wrong} wrong ({100 * wrong / n:.1f} %), "
                f"{n - right - wrong} Unknown or broader; of the answered "
                f"{100 * right / (right + wrong):.1f} % right"
            )
        for lineage in LINEAGES:
            row = {str(b): k for (a, b), k in sorted(table.items(), key=str) if a == lineage}
            print(f"  {lineage:10s} {row}")


def speed(n_cells):
    """The local engine on a sparse matrix in memory: 20,000 genes, 1,500 values per cell."""
    from scipy.sparse import vstack

    from cellferry.study.expression.matrix import MatrixSource

    from .data import Generated, study

    made = Generated(n_cells, counts=False)
    matrix = vstack([block for _, block in made], format="csr")
    cells = study(n_cells, counts=False, source=MatrixSource(matrix, made.genes))
    near, far = made.neighbours(), made.places()
    ways = {
        "alone": cells,
        "with a graph, no votes": cells.with_parts(graph=near),
        "with a graph": cells.with_parts(graph=near),
        "with a UMAP": cells.with_parts(coordinates=far),
    }
    # Once before it is measured: what is read and made once is no part of it.
    annotate_cells(study(1_000, counts=False), progress=False)
    for name, given in ways.items():
        before, begun = most_megabytes(), time.perf_counter()
        annotate_cells(given, majority_voting=name != "with a graph, no votes", progress=False)
        seconds = time.perf_counter() - begun
        print(
            f"local, {name}: {n_cells:,} cells, {matrix.nnz:,} values in {seconds:.1f} s "
            f"({1e6 * seconds / n_cells:.0f} us per cell), "
            f"{max(0, most_megabytes() - before):.0f} MB above what was before"
        )


@contextlib.contextmanager
def serving():
    """The address of the endpoint, in another process on this machine."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cells.server"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1/singlecell/annotate"
    finally:
        server.terminate()
        server.wait()


def stream(n_cells):
    """Synthetic counts streamed to the endpoint in another process on this machine."""
    from cellferry.engines.cellatlas import CellAtlas

    from .data import study

    with serving() as address:
        cells = study(n_cells, counts=True)
        engine = CellAtlas(api_url=address, qc="off")
        before, begun = most_megabytes(), time.perf_counter()
        found = annotate_cells(cells, engine=engine, progress=False)
        seconds = time.perf_counter() - begun
        with urllib.request.urlopen(address) as reply:
            of_server = int(reply.read())
        print(
            f"cellatlas: {n_cells:,} cells of 1,500 values in {found.evidence['chunks']} chunks, "
            f"{seconds:.0f} s ({n_cells / seconds:.0f} cells per second); client "
            f"{most_megabytes() - before:.0f} MB above its start, server at most {of_server} MB"
        )


def from_r(n_cells):
    """A Seurat object, through R: the local engine, and the endpoint in another process."""
    from .data import gene_names

    script = Path(__file__).with_name("from_r.R")
    genes = Path(os.environ["CELLFERRY_HOME"]) / "genes"
    genes.write_text("\n".join([*gene_names(), ""]), encoding="utf-8")
    command = ["Rscript", str(script), str(n_cells), str(genes)]
    subprocess.run(command, check=True)
    with serving() as address:
        subprocess.run([*command, address], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["agreement", "speed", "stream", "from_r"])
    parser.add_argument("--cells", type=int, default=100_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if len(options.what) > 1:
        # Each in a process of its own, so that the peak of one is not that of another.
        for what in options.what:
            command = [sys.executable, "-m", "benchmarks.cells", what]
            subprocess.run([*command, "--cells", str(options.cells)], check=True)
        return
    with tempfile.TemporaryDirectory() as home:
        os.environ["CELLFERRY_HOME"] = home
        what = options.what[0]
        if what == "agreement":
            agreement()
        elif what == "speed":
            speed(options.cells)
        elif what == "stream":
            stream(options.cells)
        else:
            # Both matrices of the object have a value for each of these; R has to make them.
            from_r(min(options.cells, MOST_FROM_R))


if __name__ == "__main__":
    main()
