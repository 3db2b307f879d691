"""``cellferry artifacts``: build vars.h5 and obs.duckdb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from .console import plain, the_console
from .inputs import place_given
from .options import FilePath, InputPath

if TYPE_CHECKING:
    from ..artifacts import Artifacts
    from ..study.inputs.several import Where


@click.group()
def artifacts() -> None:
    """Build the files that CyteType reads beside a job: vars.h5 and obs.duckdb.

    \b
    Example:
      cellferry artifacts build pbmc.h5ad --group-key leiden
    """


@artifacts.command()
@click.argument(
    "input_file", metavar="INPUT...", type=InputPath(), nargs=-1, required=True,
    callback=place_given,
)  # fmt: skip
@click.option(
    "--group-key",
    help="Column of the metadata with the clusters.  [default for .rds: the active identity]",
)
@click.option("--assay", help="Of an .rds.  [default: its default assay]")
@click.option(
    "--vars-h5", type=FilePath(), default="vars.h5", show_default=True,
    help="Where the expression goes.",
)  # fmt: skip
@click.option(
    "--obs-duckdb", type=FilePath(), default="obs.duckdb", show_default=True,
    help="Where the metadata of the cells goes.",
)  # fmt: skip
@click.option("--coordinates-key", help="The embedding.  [default: UMAP, else t-SNE, else another]")
@click.option("--gene-symbols-column", help="Column of var.  [default: one of a usual name]")
@click.option(
    "--obs-column", "obs_columns", multiple=True, metavar="NAME",
    help="Take only this column of obs (and the clusters); may be given again.",
)  # fmt: skip
@click.option("--no-cell-names", is_flag=True, help="Leave the names of the cells out.")
@click.option("--scheduler", metavar="ADDRESS", help="Cluster of dask that reads it, or local.")
@click.option("--resume", metavar="RUN", help="Run whose cluster was lost: go on with it.")
@click.option("--overwrite", is_flag=True, help="Replace files of another kind.")
def build(  # noqa: PLR0917 - click passes every option by name
    input_file: Where,
    group_key: str | None,
    assay: str | None,
    vars_h5: Path,
    obs_duckdb: Path,
    coordinates_key: str | None,
    gene_symbols_column: str | None,
    obs_columns: tuple[str, ...],
    no_cell_names: bool,
    scheduler: str | None,
    resume: str | None,
    overwrite: bool,
) -> None:
    """Build vars.h5 and obs.duckdb from INPUT, an .h5ad, a zarr folder or an .rds.

    An .h5ad is read piece by piece: X must contain log-normalised values, and raw counts are taken
    from layers["counts"], raw.X or X, the first that has whole numbers. An .rds with a Seurat
    object or a SingleCellExperiment is read by Rscript. Several INPUT (but .rds) are read as one
    object: the cells of one after those of the other, with the genes and columns that all have.
    Zarr may be at an address, such as https://host/x.zarr.

    \b
    Examples:
      cellferry artifacts build pbmc.h5ad --group-key leiden
      cellferry artifacts build pbmc.h5ad --group-key leiden --obs-column donor --vars-h5 out.h5
      cellferry artifacts build donor1.h5ad donor2.h5ad --group-key leiden
      cellferry artifacts build pbmc.rds
    """
    console = the_console()
    options: _Options = {
        "vars_h5_path": vars_h5,
        "obs_duckdb_path": obs_duckdb,
        "gene_symbols_column": gene_symbols_column,
        "obs_columns": obs_columns or None,
        "cell_names": not no_cell_names,
        "overwrite": overwrite,
    }
    cluster = {"scheduler": scheduler, "resume": resume}
    built = _built(input_file, group_key, assay, coordinates_key, options, cluster=cluster)
    lines = [built.summary.normalisation.explanation]
    for place in built.counts:
        answer = "raw counts" if place.are_counts else "no raw counts"
        lines.append(f"{place.name}: {answer}, {place.explanation}")
    files = [path for path in (built.vars_h5, built.obs_duckdb) if path is not None]
    console.wrote(files)
    console.result(
        "\n".join(lines),
        outputs=[str(path) for path in files],
        normalisation=plain(asdict(built.summary.normalisation)),
        counts=[plain(asdict(place)) for place in built.counts],
    )


class _Options(TypedDict):
    """Those of :func:`cellferry.build_artifacts` that have a flag of their own."""

    vars_h5_path: Path
    obs_duckdb_path: Path
    gene_symbols_column: str | None
    obs_columns: tuple[str, ...] | None
    cell_names: bool
    overwrite: bool


def _built(
    path: Where,
    group_key: str | None,
    assay: str | None,
    coordinates_key: str | None,
    options: _Options,
    *,
    cluster: Mapping[str, str | None],
) -> Artifacts:
    progress = not the_console().quiet
    from ..study.inputs.kinds import file_error, file_kind

    is_of_r = False
    if isinstance(path, Path):
        kind = file_kind(path)
        is_of_r = kind.is_of_r
        if not kind.is_anndata and not is_of_r:
            from ..errors import UnsupportedObjectError

            raise file_error(path, kind, "an object with cells", UnsupportedObjectError)
        if is_of_r and not any(cluster.values()):
            from ..bridge.rds import build_artifacts_of_rds

            return build_artifacts_of_rds(
                path,
                group_key=group_key,
                assay=assay,
                coordinates_key=coordinates_key,
                progress=progress,
                **options,
            )
    if not is_of_r and (group_key is None or assay is not None):
        usage = "An .h5ad needs --group-key." if group_key is None else "--assay is for .rds."
        raise click.UsageError(usage)
    from ..artifacts import build_artifacts

    key = coordinates_key or "X_umap"
    return build_artifacts(
        path,
        group_key=group_key,
        coordinates_key=key,
        progress=progress,
        **options,
        scheduler=cluster["scheduler"],
        resume=cluster["resume"],
    )
