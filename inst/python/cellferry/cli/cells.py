"""``cellferry annotate --cells``: an .h5ad in, every cell labelled, and how to go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import output_paths, remember, table, tell_files, write_all

if TYPE_CHECKING:
    from ..cell_annotations import CellAnnotations
    from ..engines import CellEngine
    from ..runs import Run
    from ..study import Study

DEFAULT_KEY = "cell_type_cell"


@dataclass(frozen=True)
class Asked:
    """What the command was asked, beside the engine."""

    input_file: Path
    base: Path
    key: str
    group_key: str | None
    context: Mapping[str, Any]
    allow_upload: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.base.with_name(self.base.name + "_run")


def annotate_file(asked: Asked, engine: CellEngine, *, dry_run: bool = False) -> None:
    """Annotate the cells of an .h5ad and write the files."""
    from .. import delivery
    from ..annotate import annotate
    from ..cells import plan_cells
    from ..progress import progress_events
    from ..runs import claim_outputs

    data, study = _read(asked)
    stored = data.uns.get(delivery.STORE, {}).get(asked.key)
    delivery.check_key(
        asked.key,
        list(data.obs.columns),
        delivery.owned_columns(stored),
        overwrite=asked.overwrite,
        level="cells",
    )
    if dry_run:
        click.echo(plan_cells(study, engine).told())
        return
    files = list(output_paths(asked.base, ".h5ad").values())
    claim_outputs(asked.folder, files, overwrite=asked.overwrite)
    provenance = {
        "key": asked.key,
        "object": "AnnData",
        "input": str(asked.input_file.resolve()),
        "base": str(asked.base.resolve()),
        "parameters": {"group_key": asked.group_key, **asked.context},
    }
    with progress_events(show=True, title="Annotating cells") as on_event:
        found = annotate(
            study,
            engine,
            allow_upload=asked.allow_upload,
            folder=asked.folder,
            provenance=provenance,
            on_event=on_event,
        )
    _write(found, study, data, asked)


def resume_file(run: Run) -> None:
    """Finish a run about cells: the .h5ad is read again, and only what is missing is done."""
    from ..cells import resume_cells
    from ..engines import create_cell_engine
    from ..errors import EngineNeedsError
    from ..progress import progress_events

    kept = run.content["provenance"]
    if "input" not in kept:
        message = f'The run "{run.id}" is about cells that this command did not read.'
        hint = "Resume it where it began: annotate_cells(data, resume=...), or ResumeAnnotation(x)."
        raise EngineNeedsError(message, hint)
    parameters = dict(kept["parameters"])
    group_key = parameters.pop("group_key")
    asked = Asked(Path(kept["input"]), Path(kept["base"]), kept["key"], group_key, parameters)
    data, study = _read(asked)
    engine = create_cell_engine(run.content["engine"], run.content["options"])
    with progress_events(show=True, title="Annotating cells") as on_event:
        # Consent was given when the run was made.
        found = resume_cells(run, study, engine, allow_upload=True, on_event=on_event)
    _write(found, study, data, asked)


def _read(asked: Asked) -> tuple[Any, Study]:
    import anndata

    from ..cells import study_for_cells
    from ..errors import InputError, UnsupportedObjectError
    from ..study import Context

    path = asked.input_file
    if path.suffix != ".h5ad":
        message = f'"{path}" is no .h5ad, and that is what --cells reads.'
        hint = "For an .rds use AnnotateCells() in R. Leave --cells out for a marker table."
        raise UnsupportedObjectError(message, hint)
    try:
        data = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Check the path and the file.") from error
    return data, study_for_cells(data, asked.group_key, Context(**asked.context))


def _write(found: CellAnnotations, study: Study, data: Any, asked: Asked) -> None:
    from ..cell_delivery import attach_cells
    from ..report import Embedding, write_report
    from ..study import Clusters
    from ..study_builders import embedding_of

    summary = found.summary()
    attach_cells(data, found, study.clusters, asked.key, summary)
    coordinates, embedding = embedding_of(data), None
    if coordinates is not None and len(summary):
        labels = Clusters(tuple(found.label.levels), found.label.codes)
        embedding = Embedding(*coordinates, labels)
    paths = output_paths(asked.base, ".h5ad")
    columns = list(found.provenance["columns"])
    written = write_all(
        {
            paths["table"]: summary.to_csv,
            paths["record"]: lambda p: p.write_text(summary.to_json(), encoding="utf-8"),
            paths["report"]: lambda p: write_report(summary, p, embedding=embedding),
            paths["cells"]: lambda p: data.obs[columns].to_csv(p, index_label="cell"),
            paths["object"]: data.write_h5ad,
        }
    )
    remember(asked.folder, written)
    click.echo(table(summary))
    click.echo(found.summary_line())
    tell_files(written)
