"""``cellferry markers`` and ``pseudobulk``: what is computed of the cells of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files import write_whole
from .console import the_console
from .inputs import is_standard_input, let_r_read, place_given
from .options import FilePath, InputPath

if TYPE_CHECKING:
    from ..study.markers.table import Markers


@click.command()
@click.argument(
    "input_file", metavar="INPUT...", type=InputPath(), nargs=-1, required=True,
    callback=place_given,
)  # fmt: skip
@click.option(
    "--group-key",
    help="Column of the metadata with the clusters.  [default for .rds: the active identity]",
)
@click.option(
    "--out", type=FilePath(), required=True,
    help="Where the table goes: .csv, or .tsv; - is standard output.",
)  # fmt: skip
@click.option("--assay", help="Of an .rds.  [default: its default assay]")
@click.option("--rules", help="4.3, 4.4, 5.0.0 or 5.0.1.  [default: installed Seurat, or 5.0.1]")
@click.option("--only-pos", is_flag=True, help="Only genes that the cluster has more of.")
@click.option("--logfc-threshold", type=float, help="[default: that of the rules]")
@click.option("--min-pct", type=float, help="[default: that of the rules]")
@click.option("--min-diff-pct", type=float, help="Least difference of the shares.")
@click.option("--return-thresh", type=float, default=0.01, show_default=True, help="Largest p.")
@click.option("--min-cells-group", type=int, default=3, show_default=True)
@click.option("--max-cells-per-ident", type=int, help="Cells of each side that are ranked.")
@click.option("--random-seed", type=int, default=1, show_default=True)
@click.option("--feature", "features", multiple=True, metavar="GENE", help="May be given again.")
@click.option("--ident-1", multiple=True, metavar="CLUSTER", help="Only this cluster.")
@click.option("--ident-2", multiple=True, metavar="CLUSTER", help="Against this one.")
@click.option("--within", metavar="COLUMN", help="Compare within the values of this column.")
@click.option("--sample-key", metavar="COLUMN", help="Say in how many samples a marker holds.")
@click.option("--scheduler", metavar="ADDRESS", help="Cluster of dask that reads it, or local.")
@click.option("--resume", metavar="RUN", help="Run whose cluster was lost: go on with it.")
@click.option("--overwrite", is_flag=True, help="Replace an existing table.")
def markers(input_file: Any, out: Path, overwrite: bool, **options: Any) -> None:
    """Find the markers of the clusters of INPUT, an .h5ad, a zarr folder or an .rds.

    Several INPUT (but .rds) are read as one object: the cells of one after those of the other, with
    the genes and columns that all have. Zarr may be at an address, such as https://host/x.zarr.

    The table is the one of Seurat's FindAllMarkers(): a Wilcoxon test of every gene between each
    cluster and all other cells. Its p-values rank genes, they test nothing.

    \b
    Examples:
      cellferry markers pbmc.h5ad --group-key leiden --out markers.csv
      cellferry markers pbmc.rds --only-pos --out markers.csv
      cellferry markers pbmc.h5ad --group-key leiden --ident-1 3 --ident-2 5 --out 3-5.csv
      cellferry markers donor1.h5ad donor2.h5ad --group-key leiden --out markers.csv
      cellferry markers atlas.h5ad --scheduler tcp://node1:8786 --out markers.csv
    """
    from ..artifacts.markers import find_markers

    console = the_console()
    if is_standard_input(out) and console.as_json:
        usage = "--json is for one JSON document, and --out - writes a table there."
        raise click.UsageError(usage)
    if not is_standard_input(out):
        check_target(out, overwrite)
    given = {name: value for name, value in options.items() if value not in {None, ()}}
    for name in ("features", "ident_1", "ident_2"):
        if name in given:
            given[name] = list(given[name])
    let_r_read(input_file)
    found = find_markers(input_file, progress=not console.quiet, **given)
    text = _text(found, out)
    if is_standard_input(out):
        console.result(text.rstrip("\n"), asked_for=True)
        return
    write_whole(out, text)
    console.wrote([out])
    sizes = {name: int((found.cluster == i).sum()) for i, name in enumerate(found.clusters)}
    console.result("", outputs=[str(out)], markers=sizes)


def check_target(out: Path, overwrite: bool) -> None:
    """Raise :class:`OutputError` if a table cannot be written there, before any work.

    Parameters
    ----------
    out
        Path of the table.
    overwrite
        Whether it may be there already.
    """
    from ..errors import OutputError

    if not out.parent.is_dir():
        message = f'The table cannot be written to "{out}": there is no folder "{out.parent}".'
        raise OutputError(message, "Make the folder first, or choose another path.")
    if out.exists() and not overwrite:
        message = f'There is a file "{out}", and it is not replaced.'
        raise OutputError(message, "Choose another path, or pass `overwrite=True`.")


def _text(found: Markers, out: Path) -> str:
    separator = "\t" if out.suffix.lower() in {".tsv", ".txt"} else ","
    text: str = found.to_frame().to_csv(index=False, sep=separator)
    return text


@click.command()
@click.argument(
    "input_file", metavar="INPUT...", type=InputPath(), nargs=-1, required=True,
    callback=place_given,
)  # fmt: skip
@click.option(
    "--group-key",
    help="Column with clusters or labels.  [default for .rds: the active identity]",
)
@click.option("--sample-key", metavar="COLUMN", help="Column with the samples.")
@click.option(
    "--column", "columns", multiple=True, metavar="COLUMN",
    help="Kept for each sample, such as condition; may be given again.",
)  # fmt: skip
@click.option("--out", type=FilePath(), required=True, help="Base name of both tables.")
@click.option("--assay", help="Of an .rds.  [default: its default assay]")
@click.option("--min-cells", type=int, default=1, show_default=True, help="Least cells of a sum.")
@click.option("--overwrite", is_flag=True, help="Replace existing tables.")
def pseudobulk(input_file: Any, out: Path, overwrite: bool, **options: Any) -> None:
    """Sum the raw counts of the clusters of INPUT, apart for each sample.

    INPUT is an .h5ad, a zarr folder or an .rds; several (but .rds) are read as one object.

    OUT_counts.csv has the sums, genes x columns; OUT_samples.csv has one row for each column:
    cluster, sample, n_cells and what --column names. They are the sums, not the test.

    \b
    Examples:
      cellferry pseudobulk pbmc.h5ad --group-key cell_type --sample-key donor --out sums
      cellferry pseudobulk pbmc.rds --sample-key donor --column condition --out sums
    """
    from ..artifacts.markers import pseudobulk as summed

    console = the_console()
    tables = [out.with_name(f"{out.name}_{name}.csv") for name in ("counts", "samples")]
    for table in tables:
        check_target(table, overwrite)
    given = {name: value for name, value in options.items() if value is not None}
    let_r_read(input_file)
    found = summed(input_file, **given)
    write_whole(tables[0], found.to_frame().to_csv(index_label="gene"))
    write_whole(tables[1], found.samples.to_csv(index_label="column"))
    console.wrote(tables)
    outputs = [str(table) for table in tables]
    console.result("", outputs=outputs, columns=list(found.samples.index))
