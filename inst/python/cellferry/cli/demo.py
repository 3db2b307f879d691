"""``cellferry demo``: the whole way on a real AnnData that ships with scanpy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._version import pip_install
from .console import plain, the_console
from .options import FilePath
from .output import output_paths, table, write_all

if TYPE_CHECKING:
    import anndata


@click.command()
@click.option(
    "--out", type=FilePath(), default=Path("demo-output"), show_default=True,
    help="Folder of the files.",
)  # fmt: skip
def demo(out: Path) -> None:
    """Annotate 700 blood cells on this machine, with no key and no network.

    Writes the labelled object, a table of cells, a picture and a report.

    \b
    Example:
      cellferry demo --out demo-output
    """
    from ..annotate import annotate_clusters
    from ..annotate.pages import annotation_report

    adata = _blood_cells()
    found = annotate_clusters(adata, group_key="louvain", tissue="blood", progress=False)
    out.mkdir(parents=True, exist_ok=True)
    paths = output_paths(out / "pbmc68k_reduced")
    columns = list(found.provenance["columns"])
    written = write_all(
        {
            paths["object"]: adata.write_h5ad,
            paths["cells"]: lambda p: adata.obs[["louvain", *columns]].to_csv(
                p, index_label="cell"
            ),
            out / "pbmc68k_reduced_umap.png": lambda p: _picture(adata, p),
            paths["report"]: lambda p: annotation_report(adata, p),
        }
    )
    console = the_console()
    console.wrote(written)
    console.result(
        table(found),
        outputs=[str(path) for path in written],
        rows=plain(found.to_dict()["rows"]),
        provenance=plain(found.provenance),
    )


def _blood_cells() -> anndata.AnnData:
    """Return scanpy's 700 blood cells, ranked anew: the stored ranking has no fold changes."""
    from ..errors import DependencyError

    try:
        import scanpy
    except ImportError as error:
        message = "The demo uses the blood cells that ship with scanpy, which is not installed."
        raise DependencyError(message, f"Run: {pip_install('demo')}") from error
    adata: anndata.AnnData = scanpy.datasets.pbmc68k_reduced()
    scanpy.tl.rank_genes_groups(adata, "louvain", method="t-test", pts=True)
    return adata


def _picture(adata: anndata.AnnData, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import scanpy

    figure = scanpy.pl.umap(
        adata, color="cell_type", title="pbmc68k_reduced, labelled by cellferry",
        return_fig=True, show=False,
    )  # fmt: skip
    figure.savefig(path, dpi=150, bbox_inches="tight")
