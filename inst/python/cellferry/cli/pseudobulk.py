"""``cellferry pseudobulk``: sums of raw counts by cluster and sample, for DESeq2 or edgeR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files import write_whole
from .console import the_console
from .markers import check_target
from .options import FilePath

if TYPE_CHECKING:
    from ..study.pseudobulk import Pseudobulk


@click.command()
@click.argument("input_file", metavar="INPUT", type=FilePath())
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
def pseudobulk(input_file: Path, out: Path, overwrite: bool, **options: Any) -> None:
    """Sum the raw counts of the clusters of INPUT, an .h5ad or an .rds, apart for each sample.

    OUT_counts.csv has the sums, genes x columns; OUT_samples.csv has one row for each column:
    cluster, sample, n_cells and what --column names. They are the sums, not the test.

    \b
    Examples:
      cellferry pseudobulk pbmc.h5ad --group-key cell_type --sample-key donor --out sums
      cellferry pseudobulk pbmc.rds --sample-key donor --column condition --out sums
    """
    console = the_console()
    tables = [out.with_name(f"{out.name}_{name}.csv") for name in ("counts", "samples")]
    for table in tables:
        check_target(table, overwrite)
    found = _summed(input_file, {k: v for k, v in options.items() if v is not None})
    write_whole(tables[0], found.to_frame().to_csv(index_label="gene"))
    write_whole(tables[1], found.samples.to_csv(index_label="column"))
    console.wrote(tables)
    outputs = [str(table) for table in tables]
    console.result("", outputs=outputs, columns=list(found.samples.index))


def _summed(path: Path, options: dict[str, Any]) -> Pseudobulk:
    suffix = path.suffix.lower()
    if suffix == ".rds":
        from ..bridge.rds.markers import pseudobulk_of_rds

        return pseudobulk_of_rds(path, **options)
    if suffix != ".h5ad":
        from ..errors import UnsupportedObjectError

        message = f'"{path}" is neither .h5ad nor .rds, and this command reads no other files.'
        raise UnsupportedObjectError(message, "In R: PseudobulkCounts(x); in Python: AnnData.")
    if "assay" in options:
        usage = "--assay is for .rds."
        raise click.UsageError(usage)
    from ..artifacts.markers import pseudobulk as summed

    return summed(path, **options)
