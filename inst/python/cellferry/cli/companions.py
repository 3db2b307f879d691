"""``cellferry export-markers`` and ``cellferry embed``: what a service has beside annotation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .annotate import engine_options_of
from .inputs import let_r_read
from .known import complete_options
from .options import FilePath

if TYPE_CHECKING:
    from ..engines.base import AnyEngine

_COMMON = (
    click.option(
        "--engine", default="local", show_default=True, help="local, or cellatlas for a service.",
        shell_complete=lambda _context, _parameter, begun: [
            name for name in ("local", "cellatlas") if name.startswith(begun)
        ],
    ),
    click.option("--api-url", help="Address of the annotation endpoint of the service."),
    click.option("--assay", help="Of an .rds.  [default: its default assay]"),
    click.option("--allow-upload", is_flag=True, help="Let the engine send expression."),
    click.option("--overwrite", is_flag=True, help="Replace what is there."),
    click.option(
        "--option", "options", multiple=True, callback=engine_options_of, metavar="NAME=VALUE",
        shell_complete=complete_options,
        help="An option of the engine, such as markers_path; may be given again.",
    ),
)  # fmt: skip


def _common(command: Any) -> Any:
    for option in reversed(_COMMON):
        command = option(command)
    return command


@click.command(name="export-markers")
@click.argument("input_file", metavar="INPUT", type=FilePath())
@click.option(
    "--group-key",
    help="Column of the labels.  [default: cell_type_cell, cell_type; of .rds the active identity]",
)
@click.option("--out", type=FilePath(), required=True, help="Where the table goes: .csv or .tsv.")
@_common
def export_markers(
    input_file: Path,
    *,
    group_key: str | None,
    out: Path,
    overwrite: bool,
    assay: str | None,
    allow_upload: bool,
    **of_engine: Any,
) -> None:
    """Export the marker genes of each label of INPUT, an .h5ad, a zarr folder or an .rds.

    The engine local computes them here; cellatlas asks cellferry serve, or a service that has a
    path of its own: --option markers_path=/v2/markers.

    \b
    Examples:
      cellferry export-markers pbmc.h5ad --group-key cell_type --out markers.csv
      cellferry export-markers pbmc.h5ad --engine cellatlas --out markers.csv \\
        --api-url http://127.0.0.1:8000/v1/singlecell/annotate
    """
    from ..annotate.companions import export_markers as export
    from ..files import write_whole

    _check(out, {".csv", ".tsv"}, overwrite=overwrite)
    let_r_read(input_file)
    engine, given = _engine(**of_engine), {"assay": assay, "allow_upload": allow_upload}
    found = export(input_file, group_key, engine=engine, **given).to_frame()  # type: ignore[arg-type]
    write_whole(out, found.to_csv(index=False, sep="\t" if out.suffix == ".tsv" else ","))
    click.echo(f"wrote {out}", err=True)


@click.command()
@click.argument("input_file", metavar="INPUT", type=FilePath())
@click.option("--key", default="X_cellferry", show_default=True, help="Name in obsm.")
@click.option(
    "--out", type=FilePath(), required=True,
    help="A .csv or .tsv of cells x dimensions, or INPUT with it: .h5ad, of an .rds an .rds.",
)  # fmt: skip
@_common
def embed(
    input_file: Path,
    *,
    key: str,
    out: Path,
    overwrite: bool,
    assay: str | None,
    allow_upload: bool,
    **of_engine: Any,
) -> None:
    """Embed the cells of INPUT: numbers of each cell for neighbours, UMAP, clustering.

    INPUT is an .h5ad, a zarr folder or an .rds.

    The engine local projects onto fixed directions of marker genes, here; cellatlas asks
    cellferry serve, or a service that has a path of its own: --option embedding_path=/v2/embed.

    \b
    Examples:
      cellferry embed pbmc.h5ad --out pbmc_embedded.h5ad
      cellferry embed pbmc.h5ad --engine cellatlas --out embedding.csv \\
        --api-url http://127.0.0.1:8000/v1/singlecell/annotate
    """
    import pandas as pd

    from ..annotate import companions
    from ..files import write_whole

    _check(out, {".csv", ".tsv", ".h5ad", ".rds"}, overwrite=overwrite)
    let_r_read(input_file)
    found = companions.embed(
        input_file,
        engine=_engine(**of_engine),
        key=key,
        assay=assay,
        output=out if out.suffix in {".h5ad", ".rds"} else None,
        overwrite=overwrite,
        allow_upload=allow_upload,
    )
    if out.suffix in {".csv", ".tsv"}:
        name = key.removeprefix("X_")
        columns = [f"{name}_{i + 1}" for i in range(found.values.shape[1])]
        frame = pd.DataFrame(found.values, index=list(found.cells), columns=columns)
        separator = "\t" if out.suffix == ".tsv" else ","
        write_whole(out, frame.to_csv(index_label="cell", sep=separator))
    click.echo(f"wrote {out}", err=True)


def _engine(engine: str, api_url: str | None, options: dict[str, object]) -> AnyEngine:
    from ..engines import create_engine

    given = {} if api_url is None else {"api_url": api_url}
    return create_engine(engine, {**given, **options}, "cells")


def _check(out: Path, suffixes: set[str], *, overwrite: bool) -> None:
    from ..errors import OutputError, listing

    if out.suffix not in suffixes:
        message = f'"{out}" must end in {listing(sorted(suffixes))}.'
        raise OutputError(message, "Choose another name.")
    if not out.parent.is_dir():
        message = f'"{out}" cannot be written: there is no folder "{out.parent}".'
        raise OutputError(message, "Make the folder first, or choose another path.")
    if out.exists() and not overwrite:
        message = f'There is a file "{out}", and it is not replaced.'
        raise OutputError(message, "Choose another path, or pass --overwrite.")
