"""``cellferry artifacts``: build vars.h5 and obs.duckdb."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def artifacts() -> None:
    """Build the files that CyteType reads beside a job: vars.h5 and obs.duckdb.

    \b
    Example:
      cellferry artifacts build pbmc.h5ad --group-key leiden
    """


@artifacts.command()
@click.argument("input_file", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--group-key", required=True, help="Column of obs with the clusters.")
@click.option(
    "--vars-h5", type=click.Path(path_type=Path), default="vars.h5", show_default=True,
    help="Where the expression goes.",
)  # fmt: skip
@click.option(
    "--obs-duckdb", type=click.Path(path_type=Path), default="obs.duckdb", show_default=True,
    help="Where the metadata of the cells goes.",
)  # fmt: skip
@click.option("--coordinates-key", default="X_umap", show_default=True, help="Key in obsm.")
@click.option("--gene-symbols-column", help="Column of var.  [default: one of a usual name]")
@click.option(
    "--obs-column", "obs_columns", multiple=True, metavar="NAME",
    help="Take only this column of obs (and the clusters); may be given again.",
)  # fmt: skip
@click.option("--no-cell-names", is_flag=True, help="Leave the names of the cells out.")
@click.option("--overwrite", is_flag=True, help="Replace files of another kind.")
def build(  # noqa: PLR0917 - click passes every option by name
    input_file: Path,
    group_key: str,
    vars_h5: Path,
    obs_duckdb: Path,
    coordinates_key: str,
    gene_symbols_column: str | None,
    obs_columns: tuple[str, ...],
    no_cell_names: bool,
    overwrite: bool,
) -> None:
    """Build vars.h5 and obs.duckdb from INPUT, an .h5ad that is read piece by piece.

    X must hold log-normalised values. Raw counts are taken from layers["counts"], raw.X or
    X, the first that holds whole numbers.

    \b
    Examples:
      cellferry artifacts build pbmc.h5ad --group-key leiden
      cellferry artifacts build pbmc.h5ad --group-key leiden --obs-column donor --vars-h5 out.h5
    """
    from ..artifacts import build_artifacts
    from ..errors import UnsupportedObjectError
    from .output import tell_files

    if input_file.suffix != ".h5ad":
        message = f'"{input_file}" is no .h5ad, and this command reads no other files.'
        raise UnsupportedObjectError(message, "In R: BuildArtifacts(readRDS(...)).")
    built = build_artifacts(
        input_file,
        group_key=group_key,
        vars_h5_path=vars_h5,
        obs_duckdb_path=obs_duckdb,
        coordinates_key=coordinates_key,
        gene_symbols_column=gene_symbols_column,
        obs_columns=obs_columns or None,
        cell_names=not no_cell_names,
        overwrite=overwrite,
    )
    click.echo(built.summary.normalisation.explanation)
    for place in built.counts:
        answer = "raw counts" if place.are_counts else "no raw counts"
        click.echo(f"{place.name}: {answer}, {place.explanation}")
    tell_files([path for path in (built.vars_h5, built.obs_duckdb) if path is not None])
