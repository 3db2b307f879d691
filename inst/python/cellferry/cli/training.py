"""``cellferry train``: a model of a labelled object, for the engine ``reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import counted
from .console import the_console
from .inputs import let_r_read
from .options import FilePath


@click.command()
@click.argument("input_file", metavar="INPUT", type=FilePath())
@click.option("--labels", required=True, help="Column of the metadata with the labels.")
@click.option("--out", type=FilePath(), required=True, help="Where the model goes: an .npz.")
@click.option("--assay", help="Of an .rds.  [default: its default assay]")
@click.option("--n-genes", type=int, default=2_000, show_default=True, help="Genes at most.")
@click.option(
    "--leave-out", is_flag=True,
    help="Leave out cells without a label, and labels of fewer than 10 cells.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
def train(input_file: Path, labels: str, out: Path, **options: Any) -> None:
    """Train a model on the labels of INPUT, an .h5ad, a zarr folder or an .rds.

    The engine reference labels other objects by it, without INPUT and without a network. Needs
    scikit-learn: pip install 'cellferry[reference]'.

    \b
    Examples:
      cellferry train atlas.h5ad --labels cell_type --out atlas.npz
      cellferry annotate new.h5ad --cells --engine reference --model atlas.npz --out new
    """
    from ..engines.reference import train_reference

    console = the_console()
    let_r_read(input_file)
    model = train_reference(input_file, labels, out, **options)
    found = model.about["cross_validation"]
    console.wrote([out])
    sizes = f"{len(model.classes)} labels, {counted(len(model.genes), 'gene')}"
    console.result(
        f"{sizes}. Of the cells held out {100 * found['right']:.1f} % are right; "
        f"{100 * found['labelled']:.1f} % get a label, of which "
        f"{100 * found['right_of_labelled']:.1f} % are right.",
        outputs=[str(out)],
        classes=list(model.classes),
        cross_validation=found,
    )
