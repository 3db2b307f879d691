"""A person's word on labels: set, withdrawn, read, applied from a file, carried over.

What is decided goes into the object, and beside the journal of the run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..annotations.clusters import Annotations
from ..annotations.decisions import decide, transfer
from ..annotations.decisions.adopted import adopt
from ..annotations.decisions.decision import Decision, Wanted, from_file
from ..annotations.decisions.history import HISTORY, decisions_text, history
from ..annotations.decisions.made import Decided
from ..annotations.labelled import labelled
from ..annotations.labelling.labels import Labels
from ..annotations.labelling.objects import stored_labels, write_into
from ..annotations.stored import refuse_path, stored_annotations
from ..errors import (
    CellferryError,
    DecisionsFormatError,
    DecisionsWarning,
    InputError,
    InvalidOptionError,
    UnsupportedObjectError,
    counted,
    in_language,
    listing,
    warn,
)
from ..files import write_whole
from ..runs.decisions import append_decisions
from ..runs.reviews import ReviewFolder
from ..study.clusters import cluster_text
from .deciding import column_of, of_object

if TYPE_CHECKING:
    import anndata
    import pandas as pd

logger = logging.getLogger("cellferry")

Given: TypeAlias = (
    "Mapping[str, str | None] | Mapping[str, str] | pd.DataFrame | str | os.PathLike[str] | None"
)
REVIEWER = "CELLFERRY_REVIEWER"
"""Variable of the environment with the name of who decides, where none is given."""


def set_labels(
    data: anndata.AnnData | Annotations,
    labels: Mapping[str, str] | pd.DataFrame | str | os.PathLike[str] | None = None,
    *,
    cells: Sequence[str] | None = None,
    from_column: str | None = None,
    key: str | None = None,
    decision: str | None = None,
    ontology_id: str | None = None,
    reason: str | None = None,
    by: str | None = None,
    overwrite: bool = False,
) -> Annotations:
    """Put a person's labels in force, for clusters or for cells chosen by hand.

    A label that is the engine's is accepted, and stays when the engine says otherwise later; the
    label "Unknown" is one too. Labels are looked up in the Cell Ontology (name, synonym, plural);
    free text is allowed, with a warning. Decisions are kept with the object and with its run,
    outlast a second annotation under the same key, and are read by :func:`decisions`.

    Parameters
    ----------
    data
        AnnData that was labelled (changed in place), or annotations (returned).
    labels
        Cluster -> label; or a table of the columns ``cluster`` and ``label`` and, if wanted,
        ``decision``, ``ontology_id``, ``reason``, ``by``, as a frame or the path of a CSV, TSV or
        xlsx. With ``cells`` one label.
    cells
        Names of cells that get the label, in the place of clusters.
    from_column
        Column of ``obs`` whose labels become decisions: edits by hand, another tool's labels.
        Cells without a value stay as they are, but in the column of the labels itself: a label
        that was taken away is Unknown.
    key
        Name of the label column; None is the newest of clusters, else of cells.
    decision
        ``"accepted"``, ``"unknown"`` or ``"needs_work"``, which take no label.
    ontology_id
        Term of the Cell Ontology, where the label's own is another or none; of one label.
    reason, by
        Kept with the decision. Without ``by`` it is the variable CELLFERRY_REVIEWER of the
        environment, else nobody: never the name of the account.
    overwrite
        Replace labels of these clusters that were edited by hand.

    Returns
    -------
    Annotations
        The table with the labels in force.

    Raises
    ------
    InvalidOptionError
        There is no such cluster, cell or decision, it is named twice, or a label is missing.
    LabelsEditedError
        Cells of these clusters were edited by hand.
    AnnotationsMissingError, GroupMissingError, InputError

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> made = set_labels(found, {"a": "Memory B cells"}, reason="CD27 is high", by="AB")
    >>> made["a"].label, made["a"].ontology_id, made["a"].engine_label
    ('Memory B cells', 'CL:0000787', 'B cell')
    """
    target = _target(data, key)
    want = Wanted(None, decision, ontology_id, reason, by or reviewer())
    given = [labels is not None, from_column is not None, cells is not None and labels is None]
    if sum(given) > 1 or (from_column is not None and cells is not None):
        message = "`labels`, `cells` and `from_column` name labels in different ways."
        raise InvalidOptionError(message, "Give one of them.")
    if from_column is not None:
        whole = of_object(target)
        made = adopt(whole, column_of(whole.obs, from_column), want.by, reason)
    elif cells is not None:
        if not isinstance(labels, str | None):
            message = "With `cells` there is one label."
            raise InvalidOptionError(message, 'For example labels="Kupffer cell".')
        one = Wanted(labels, decision, ontology_id, reason, want.by)
        made = decide.set_cells(of_object(target), cells, one)
    else:
        made = decide.set_clusters(target, wanted_of(labels, want), overwrite=overwrite)
    return _finish(data, target, made)


def withdraw_decision(
    data: anndata.AnnData | Annotations,
    clusters: str | Sequence[str] = (),
    *,
    cells: Sequence[str] = (),
    key: str | None = None,
    reason: str | None = None,
    by: str | None = None,
) -> Annotations:
    """Withdraw decisions: the engine's labels are in force again, and the history stays.

    Parameters
    ----------
    data
        AnnData that was labelled (changed in place), or annotations (returned).
    clusters
        Of the table; of a stale decision the cluster that it was about.
    cells
        Names of cells that were decided about by hand.
    key, reason, by
        As in :func:`set_labels`.

    Raises
    ------
    InvalidOptionError
        Nothing was decided about them.

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> withdraw_decision(set_labels(found, {"a": "Plasma cell"}), "a")["a"].label
    'B cell'
    """
    target = _target(data, key)
    names = [clusters] if isinstance(clusters, str) else [str(c) for c in clusters]
    made = decide.withdraw(target, names, list(cells), by or reviewer(), reason)
    return _finish(data, target, made)


def apply_decisions(
    data: anndata.AnnData | Annotations,
    decisions: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
    *,
    key: str | None = None,
) -> Annotations:
    """Apply decisions that were made elsewhere: on a page, on another copy of the object.

    A decision is about a set of cells, and is applied to the cluster that has exactly these,
    whatever it is called and whatever run its label is of. The others are named and left out.

    Parameters
    ----------
    data
        AnnData that was labelled (changed in place), or annotations (returned).
    decisions
        What :func:`cellferry.review` returned, or its folder; a file that :func:`decisions` or the
        page wrote; the ``decisions.jsonl`` of a run; or its entries.
    key
        Name of the label column; None is that of the file where the object has it, else the
        newest.

    Raises
    ------
    DecisionsMismatchError
        None is about cells of a cluster of this object; nothing is changed.
    DecisionsFormatError, InputError
        It is no such file, or it is damaged.

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> made = set_labels(found, {"a": "Plasma cell"})
    >>> apply_decisions(found, [d.to_dict() for d in made.decisions])["a"].label
    'Plasma cell'
    """
    read, named, run = read_decisions(decisions)
    if key is None and named is not None and hasattr(data, "uns"):
        key = named if named in dict(data.uns.get("cellferry", {})) else None
    target = _target(data, key)
    if not read and is_review(decisions):
        logger.info("Nothing was decided on the page yet.")
        return target.record if isinstance(target, Labels) else target
    return _finish(data, target, transfer.apply(target, read, run))


def carry_decisions(
    data: anndata.AnnData,
    *,
    from_: anndata.AnnData | None = None,
    key: str | None = None,
    clusters: Sequence[str] | None = None,
    by: str | None = None,
) -> Annotations:
    """Take decisions over that do not hold any more, to the clusters that hold most of their cells.

    Parameters
    ----------
    data
        AnnData that was labelled; changed in place.
    from_
        Another AnnData, of the same names of cells, that was decided about. None: what is stale
        in the object itself.
    key
        Name of the label column; None is the newest.
    clusters
        Only for these clusters of ``data``.
    by
        Who takes them over.

    Raises
    ------
    InvalidOptionError
        There is nothing to take over.
    """
    target = of_object(_target(data, key))
    other = None if from_ is None else of_object(_target(from_, key))
    made = transfer.carry(target, other, clusters, by or reviewer())
    return _finish(data, target, made)


def decisions(
    data: anndata.AnnData | Annotations | str | os.PathLike[str],
    key: str | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Return the history of decisions, the oldest first.

    Parameters
    ----------
    data
        AnnData that was labelled, its path (.rds too), or annotations.
    key
        Name of the label column; None is the newest.
    file
        Write them there too, for :func:`apply_decisions`; an existing file is replaced.

    Returns
    -------
    pandas.DataFrame
        One row per decision: ``at``, ``cluster`` (None of cells), ``n_cells``, ``decision``,
        ``label``, ``ontology_id``, ``by``, ``reason``, ``state`` (in force, replaced, withdrawn,
        stale), ``run``, ``id``.

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> decisions(set_labels(found, {"a": "Plasma cell"}))[["cluster", "label", "state"]].values
    array([['a', 'Plasma cell', 'in force']], dtype=object)
    """
    import pandas as pd

    found = data if isinstance(data, Annotations) else labelled(data)
    if not isinstance(found, Annotations):
        found = stored_annotations(found, key, of_clusters=True)
    if file is not None:
        write_whole(Path(file).expanduser(), decisions_text(found, key))
    return pd.DataFrame(history(found), columns=list(HISTORY))


def read_decisions(
    given: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
) -> tuple[list[Decision], str | None, str | None]:
    """Return decisions of a file or of entries, the key and the run that they name.

    Parameters
    ----------
    given
        A path, that of the folder of a review for example, or entries.

    Raises
    ------
    DecisionsFormatError, InputError
    """
    if not isinstance(given, str | os.PathLike):
        return [Decision.from_dict(entry) for entry in given], None, None
    path = Path(given).expanduser()
    if path.is_dir():
        folder = ReviewFolder.opened(path)
        known = folder.record()
        return folder.decided(), str(known["key"]), known["run"]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f'"{path}" cannot be read: {error.strerror or error}.'
        raise InputError(message, "Check the path.") from error
    except UnicodeDecodeError as error:
        message = f'"{path}" is no file of decisions: it is no text.'
        raise DecisionsFormatError(message) from error
    return from_file(text)


def is_review(given: object) -> bool:
    """Whether decisions are those of a review: there may be none yet."""
    return isinstance(given, str | os.PathLike) and Path(given).expanduser().is_dir()


def wanted_of(
    labels: Mapping[str, str | None]
    | Mapping[str, str]
    | pd.DataFrame
    | str
    | os.PathLike[str]
    | None,
    rest: Wanted,
) -> dict[str, Wanted]:
    """Return what is wanted for each cluster.

    Parameters
    ----------
    labels
        As of :func:`set_labels`.
    rest
        What is not in a table: decision, reason, by.

    Raises
    ------
    InvalidOptionError
        A cluster is named twice, with or without the same label, or there are no names.
    """
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        if rest.ontology_id is not None and len(labels) > 1:
            message = "`ontology_id` is for one label, and there are several."
            raise InvalidOptionError(message, "Give a table with a column ontology_id.")
        made: dict[str, Wanted] = {}
        for cluster, label in labels.items():
            name = cluster_text(cluster) or ""
            if name in made:
                raise _named_twice(name)
            given = None if label is None else str(label)
            made[name] = Wanted(given, rest.action, rest.ontology_id, rest.reason, rest.by)
        return made
    if hasattr(labels, "columns"):
        return _of_table(labels, rest)
    if isinstance(labels, str | os.PathLike):
        return _of_table(_read_table(Path(labels).expanduser()), rest)
    message = "`labels` has no names of clusters: the order of labels is not enough."
    raise InvalidOptionError(message, 'Name them: {"0": "B cell", "1": "T cell"}.')


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.exists():
        message = f'There is no file "{path}".'
        named = in_language(
            python='{"3": "Kupffer cell"}', r='"3" = "Kupffer cell"', cli='--set 3="Kupffer cell"'
        )
        raise InputError(message, f"Check the path, or name labels: {named}.")
    try:
        if path.suffix.lower() in {".xlsx", ".xlsm"}:
            return pd.read_excel(path, dtype=str, keep_default_na=False)
        return pd.read_csv(
            path, sep=None, engine="python", dtype=str, keep_default_na=False,
            encoding="utf-8-sig",
        )  # fmt: skip
    except Exception as error:
        # The readers of tables raise anything.
        message = f'"{path}" cannot be read as a table: {error}'
        raise InputError(
            message, "Give a CSV or xlsx with the columns cluster and label."
        ) from error


def _of_table(table: Any, rest: Wanted) -> dict[str, Wanted]:
    by_name = {str(c).strip().casefold().replace(" ", "_"): c for c in table.columns}
    need = [n for n in ("cluster", "label") if n not in by_name]
    if "decision" in by_name and need == ["label"]:
        need = []
    if need:
        there = listing([str(c) for c in table.columns])
        message = f"The table of labels has no column {listing(need)}; it has {there}."
        raise InvalidOptionError(message, "Its columns are cluster and label.")
    made: dict[str, Wanted] = {}

    def cell(row: int, name: str) -> str | None:
        if name not in by_name:
            return None
        text = cluster_text(table[by_name[name]].iloc[row])
        return None if text is None or not text.strip() else text

    for row in range(len(table)):
        cluster, label = cell(row, "cluster"), cell(row, "label")
        action = cell(row, "decision") or rest.action
        if cluster is None or (label is None and action is None):
            continue
        if cluster in made:
            raise _named_twice(cluster)
        made[cluster] = Wanted(
            label,
            action,
            cell(row, "ontology_id") or rest.ontology_id,
            cell(row, "reason") or rest.reason,
            cell(row, "by") or rest.by,
        )
    return made


def _named_twice(cluster: str) -> InvalidOptionError:
    message = f'The cluster "{cluster}" is given two labels.'
    return InvalidOptionError(message, "Name each cluster once.")


def reviewer() -> str | None:
    """Return who decides where nobody is named: never the name of the account."""
    return os.environ.get(REVIEWER, "").strip() or None


def _target(data: anndata.AnnData | Annotations, key: str | None) -> Labels | Annotations:
    if isinstance(data, Annotations):
        return data
    if not hasattr(data, "uns"):
        refuse_path(data)
        message = f"Labels are set in an AnnData or in annotations, not in a {type(data).__name__}."
        raise UnsupportedObjectError(message, 'In R: SetLabels(x, "3" = "Kupffer cell").')
    found = stored_annotations(data, key, of_clusters=True)
    own = key or str(found.provenance.get("key"))
    labels = stored_labels(data, own)
    assert labels is not None
    return labels


def _finish(
    data: anndata.AnnData | Annotations, target: Labels | Annotations, made: Decided
) -> Annotations:
    if made.written is not None and isinstance(target, Labels):
        write_into(data, made.written, target.key)
    remember(made)
    return made.table


def remember(made: Decided) -> None:
    """Keep new decisions with their run; where that cannot be they are in the object only.

    Parameters
    ----------
    made
        What came of a call.
    """
    run = made.table.provenance.get("run")
    if not made.new or run is None:
        return
    lines = lines_of(made)
    try:
        append_decisions(str(run), lines)
    except CellferryError as error:
        message = f"{error.message} {counted(len(lines), 'decision')} would have been added there."
        error.add_to_hint("They are in the object all the same.")
        warn(DecisionsWarning(message, error.hint))


def lines_of(made: Decided) -> list[dict[str, Any]]:
    """Return new decisions as a run keeps them.

    Parameters
    ----------
    made
        What came of a call.
    """
    return [
        {k: v for k, v in d.to_dict().items() if k not in {"stale", "offered"}} for d in made.new
    ]
