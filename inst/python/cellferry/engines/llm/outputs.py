"""The three files of a batch: summary, conversations, report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import OutputError
from ...files import Json, check_writable, sweep
from ...runs.run import Run, claim_outputs
from .questions import PROMPTS, VERSION, prompt

if TYPE_CHECKING:
    from ...annotations.clusters import Annotation, Annotations
    from ...study.study import Study

SCHEMA = "cellferry.conversations/1"

PUBLISHED: dict[str, Callable[[Annotation, Annotations], object]] = {
    "Cluster ID": lambda row, _: row.cluster,
    "Predicted General Cell Type": lambda row, _: row.label,
    "Predicted Detailed Cell Type": lambda row, _: _joined(
        [row.detail, *row.alternatives] if row.detail else row.alternatives
    ),
    "Possible Mixed Cell Types": lambda row, _: _joined(row.mixed),
    "Marker Number": lambda row, _: row.n_markers,
    "Marker List": lambda row, all_: _joined(
        (all_.evidence.get(row.cluster) or {}).get("genes") or []
    ),
    "Iterations": lambda row, _: row.iterations,
    "Model": lambda row, _: row.model,
    "Provider": lambda row, _: row.provider,
    "Tissue": lambda _, all_: all_.provenance.get("tissue"),
    "Species": lambda _, all_: all_.provenance.get("species"),
}
"""The columns of CASSIA's batch summary, in its order."""

OURS: dict[str, Callable[[Annotation, Annotations], object]] = {
    "Status": lambda row, _: row.status,
    "Error": lambda row, _: row.error,
    "Confidence": lambda row, _: row.confidence,
    "Ontology ID": lambda row, _: row.ontology_id,
    "Ontology Label": lambda row, _: row.ontology_label,
    "Supporting Genes": lambda row, _: _joined(row.supporting),
    "Conflicting Genes": lambda row, _: _joined(row.conflicting),
    "Input Tokens": lambda row, _: row.input_tokens,
    "Output Tokens": lambda row, _: row.output_tokens,
    "Cost USD": lambda row, _: row.cost_usd,
}


def output_files(name: str) -> dict[str, Path]:
    """Return the files of an output name, which is used exactly as given.

    Examples
    --------
    >>> output_files("res_v1.2")["summary"].name
    'res_v1.2_summary.csv'
    """
    base = Path(name).expanduser()
    return {
        kind: base.with_name(base.name + suffix)
        for kind, suffix in (
            ("summary", "_summary.csv"),
            ("conversations", "_conversations.json"),
            ("report", "_report.html"),
        )
    }


def run_folder(name: str) -> Path:
    """Return the folder of the run beside an output name."""
    base = Path(name).expanduser()
    return base.with_name(base.name + "_run")


def check_files(name: str, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` if a file could not be written at the end of the run."""
    files = output_files(name)
    folder = files["summary"].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, files["summary"].stem[:40])
        check_writable(files["summary"])
    except OSError as error:
        message = f'The folder "{folder}" cannot be written: {error.strerror}.'
        raise OutputError(message, "Choose another `output_name`.") from error
    for path in files.values():
        if path.is_dir():
            message = f'"{path}" is a folder, so the output cannot be written there.'
            raise OutputError(message, "Choose another `output_name`.")
    claim_outputs(run_folder(name), list(files.values()), overwrite=overwrite)


def write_files(name: str, found: Annotations, study: Study, run: Run) -> None:
    """Write the three files, each whole, and remember them as this run's."""
    from ...annotations.report import Embedding, content_of_study, write_report

    files = output_files(name)
    embedding = None
    if study.coordinates is not None:
        embedding = Embedding(*study.coordinates, study.clusters)
    writers: dict[str, Callable[[Path], object]] = {
        "summary": lambda path: _write_summary(found, path),
        "conversations": lambda path: path.write_text(_text_of(conversations(found)), "utf-8"),
        "report": lambda path: write_report(
            found, path, embedding=embedding, content=content_of_study(study)
        ),
    }
    for kind, write in writers.items():
        run.write(files[kind], write)
    run.save()


def _text_of(content: Json) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)


def summary(found: Annotations) -> list[dict[str, object]]:
    """Return the rows of the summary: every cluster of the input, in its order."""
    columns = {**PUBLISHED, **OURS}
    return [{name: of(row, found) for name, of in columns.items()} for row in found]


def conversations(found: Annotations) -> dict[str, Json]:
    """Return every prompt and reply by role, with model, parameters, usage and time."""
    provenance = found.provenance
    return {
        "schema": SCHEMA,
        "created": provenance.get("created"),
        "run": provenance.get("run"),
        "engine": provenance.get("engine"),
        "parameters": provenance.get("options"),
        "prompts": {"version": VERSION, "texts": {name: prompt(name) for name in PROMPTS}},
        "clusters": {row.cluster: _conversation(row, found) for row in found},
    }


def _conversation(row: Annotation, found: Annotations) -> dict[str, Json]:
    evidence = found.evidence.get(row.cluster) or {}
    messages: list[dict[str, Json]] = []
    for message in evidence.get("conversation") or []:
        if message["role"] == "user":
            where = {k: message[k] for k in ("stage", "round")}
            system = prompt(message["stage"])
            messages.append({**where, "role": "system", "content": system})
        messages.append(message)
    return {
        "status": row.status,
        "label": row.label,
        "error": row.error,
        "model": row.model,
        "provider": row.provider,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": row.cost_usd,
        "seconds": row.seconds,
        "rounds": evidence.get("rounds") or [],
        "messages": messages,
    }


def _write_summary(found: Annotations, path: Path) -> None:
    import io

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*PUBLISHED, *OURS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(summary(found))
    path.write_bytes(text.getvalue().encode())


def _joined(values: Iterable[object]) -> str:
    # A comma separates, so it cannot be part of a value.
    return ", ".join(str(value).replace(", ", "; ").replace(",", ";") for value in values)
