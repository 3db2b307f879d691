"""``cellferry consensus`` and ``compare``: labels of a file as votes, and beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..console import the_console
from ..inputs import let_r_read
from ..options import FilePath
from ..output import aligned, one_at_a_time, output_paths, refuse_existing, table, write_all

if TYPE_CHECKING:
    from ...annotations.clusters import Annotations


def pairs_of(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str]:
    """Return the name and value of each ``NAME=VALUE``."""
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.rpartition("=")
        if not equals or not name or not value:
            message = f'"{pair}" must be NAME=VALUE.'
            raise click.BadParameter(message)
        found[name] = value
    return found


@click.command()
@click.argument("input_file", metavar="INPUT", type=FilePath())
@click.option(
    "--from", "from_", multiple=True, metavar="NAME",
    help="Who votes: a key, column, known tool, or Cell Ranger's cell_types.csv; again for more.",
)  # fmt: skip
@click.option("--key", default="consensus", show_default=True, help="Name of the label column.")
@click.option(
    "--group-key", help="Column with the clusters.  [default: of the first annotation, else cells]"
)
@click.option(
    "--weight", "weights", multiple=True, callback=pairs_of, metavar="NAME=NUMBER",
    help="Weight of an annotator or group, in place of 1.",
)  # fmt: skip
@click.option(
    "--group", "groups", multiple=True, callback=pairs_of, metavar="NAME=GROUP",
    help="Group of an annotator: all of one group have one weight.",
)  # fmt: skip
@click.option(
    "--map", "mapping", multiple=True, callback=pairs_of, metavar="LABEL=TERM",
    help="Term of a label that is none by itself, for example 'Mono2=CL:0000576'.",
)  # fmt: skip
@click.option("--levels", is_flag=True, help="Write the broader labels of the labels too.")
@click.option("--out", type=FilePath(), metavar="NAME", help="Base name of the files.")
@click.option("--overwrite", is_flag=True, help="Replace columns and files that exist.")
@click.option("--scheduler", metavar="ADDRESS", help="Cluster of dask that reads it, or local.")
@click.option("--resume", metavar="RUN", help="Run whose cluster was lost: go on with it.")
def consensus(  # noqa: PLR0917 - click passes every option by name
    input_file: Path,
    from_: Sequence[str],
    key: str,
    group_key: str | None,
    weights: dict[str, str],
    groups: dict[str, str],
    mapping: dict[str, str],
    levels: bool,
    out: Path | None,
    overwrite: bool,
    scheduler: str | None,
    resume: str | None,
) -> None:
    """Find what several annotators of INPUT agree on, over the Cell Ontology.

    INPUT is an .h5ad, zarr or .rds with labels of cellferry or of other tools. Without --from
    the annotators that are found are listed. With it OUT.h5ad or OUT.rds is written, and
    OUT_annotations.csv and OUT_annotations.json with who voted for what.

    \b
    Examples:
      cellferry consensus pbmc.h5ad
      cellferry consensus pbmc.h5ad --from cell_type --from celltypist --from singler --out agreed
      cellferry consensus pbmc.rds --from cell_type --from azimuth --out agreed
      cellferry consensus atlas.h5ad --from cell_type --from celltypist --out agreed \\
        --scheduler tcp://node1:8786
    """
    from ...annotate.agreement import consensus as agreed

    console = the_console()
    is_of_r = let_r_read(input_file)
    if not from_:
        found = agreed(input_file, None, key=key)
        rows = [[str(v) for v in row] for row in found.itertuples(index=False)]
        console.result(
            aligned(tuple(found.columns), rows), asked_for=True,
            annotators=found.to_dict(orient="records"),
        )  # fmt: skip
        return
    suffix = ".rds" if is_of_r else ".h5ad"
    if out is None:
        message = f"--out NAME is missing: the labelled object is written to NAME{suffix}."
        raise click.UsageError(message)
    paths = output_paths(out, suffix)
    tables = [paths["table"], paths["record"]]
    refuse_existing([*tables, paths["object"]], overwrite=overwrite)
    with one_at_a_time(out):
        made = agreed(
            input_file, list(from_), key=key, group_key=group_key, weights=_numbers(weights),
            groups=groups, mapping=mapping, overwrite=overwrite, levels=levels,
            output=paths["object"], scheduler=scheduler, resume=resume,
        )  # fmt: skip
        summary: Annotations = made.summary()
        text = summary.to_json()
        written = write_all({
            tables[0]: summary.to_csv,
            tables[1]: lambda path: path.write_text(text, encoding="utf-8"),
        })  # fmt: skip
    written.append(paths["object"])
    console.wrote(written)
    console.result(
        table(summary), outputs=[str(p) for p in written], counts=made.counts(),
        annotations=list(summary.to_dict()["rows"]),
    )  # fmt: skip


@click.command()
@click.argument("input_file", metavar="INPUT", type=FilePath())
@click.option("--key", help="Labels: a key, column or tool.  [default: the newest annotation]")
@click.option("--with", "with_", required=True, metavar="NAME", help="Other labels: as --key.")
@click.option(
    "--map", "mapping", multiple=True, callback=pairs_of, metavar="LABEL=TERM",
    help="Term of a label that is none by itself, for example 'Mono2=CL:0000576'.",
)  # fmt: skip
@click.option("--out", type=FilePath(), metavar="NAME", help="Base name of the tables.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def compare(  # noqa: PLR0917 - click passes every option by name
    input_file: Path,
    key: str | None,
    with_: str,
    mapping: dict[str, str],
    out: Path | None,
    overwrite: bool,
) -> None:
    """Say how labels of INPUT stand to other labels of the same cells, over the Cell Ontology.

    INPUT is an .h5ad, zarr or .rds. For each cluster: exact, descendant (narrower), ancestor,
    sibling or other lineage, the is-a steps, and the part of its cells that agree. With --out the
    tables OUT_compared.csv and OUT_confusion.csv are written.

    \b
    Examples:
      cellferry compare pbmc.h5ad --with author_cell_type
      cellferry compare pbmc.h5ad --key consensus --with azimuth --out checked
    """
    from ...annotate.agreement import compare_labels

    console = the_console()
    let_r_read(input_file)
    found = compare_labels(input_file, key, with_, mapping=mapping)
    written: list[Path] = []
    if out is not None:
        files = [out.with_name(f"{out.name}_{end}.csv") for end in ("compared", "confusion")]
        refuse_existing(files, overwrite=overwrite)
        written = write_all({
            files[0]: lambda path: found.to_frame().to_csv(path, index=False),
            files[1]: lambda path: found.confusion_frame().to_csv(path),
        })  # fmt: skip
        console.wrote(written)
    console.result(
        repr(found), asked_for=out is None, outputs=[str(p) for p in written],
        shares=found.shares, adjusted_rand=found.adjusted_rand, look_at=found.to_look_at,
        rows=[
            {name: getattr(row, name) for name in row.__dataclass_fields__} for row in found.rows
        ],
    )  # fmt: skip


def _numbers(weights: dict[str, str]) -> dict[str, float]:
    try:
        return {name: float(weight) for name, weight in weights.items()}
    except ValueError as error:
        message = f"--weight must be NAME=NUMBER: {error}."
        raise click.UsageError(message) from error
