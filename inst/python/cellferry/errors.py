"""Every error and warning cellferry raises, in one tree.

Each class has a stable ``code``. R turns ``code`` into the condition class
``cellferry_<code>_error`` (or ``_warning``), so a script in either language can
react to the same thing. The tree::

    CellferryError
    ├── InputError              what was given cannot be used
    │   ├── UnsupportedObjectError, InvalidObjectError, ObjectOutdatedError
    │   ├── LayerMissingError, NotNormalizedError
    │   ├── GroupMissingError, GroupEmptyError, GroupNotClustersError
    │   ├── MarkersError        everything about a marker table
    │   │   ├── MarkersUnreadableError, MarkersFormatError, MarkersEmptyError
    │   │   ├── MarkersStatisticError, MarkersClustersError
    │   │   ├── MarkersMismatchError, MarkersRequiredError
    │   ├── GeneIdentifiersError
    │   ├── KnowledgeError, ModelError
    │   └── OptionError         UnknownOptionError, InvalidOptionError
    ├── DeliveryError           InvalidKeyError, ColumnExistsError, LabelsEditedError,
    │                           OutputError (DataInUseError)
    ├── EngineError             UnknownEngineError, EngineUnusableError, EngineNeedsError,
    │                           UploadNotAllowedError, CredentialsRequiredError
    │   └── ServiceError        a remote service did not do what was asked
    │       ├── ServiceUnreachableError, ServiceTimeoutError, ServiceJobError
    │       ├── ServiceCredentialsError (401), ServiceForbiddenError (403)
    │       ├── ServiceNotFoundError (404), ServiceTooLargeError (413)
    │       ├── ServiceRejectedError (422), ServiceLimitError (429), ServiceFailedError (5xx)
    │       └── ServiceAnswerError      ServicePageError, ServiceRedirectError
    ├── RunError                RunNotFoundError, RunMismatchError, RunDamagedError,
    │                           RunLockedError, InterruptedRunError
    │   └── SchedulerError      a cluster of dask did not do what was asked
    ├── AnnotationsError        AnnotationsMissingError, AnnotationsFormatError,
    │                           DecisionsFormatError, DecisionsMismatchError, MergeError
    ├── ArtifactError           ArtifactFormatError, ArtifactBuildError
    │                           └── ArtifactValuesError
    ├── DependencyError         an optional package is not installed
    ├── EmbeddingError          R cannot be run inside this process
    └── InternalError           a fault of ours

    CellferryWarning
    ├── ClustersWithoutMarkersWarning, MarkersUnknownClustersWarning
    ├── CellsWithoutClusterWarning, CellsWithoutExpressionWarning
    ├── SpeciesWarning, TissueWarning, KnowledgeWarning, GenesUnrecognisedWarning
    ├── NormalisationWarning, CoordinatesWarning, CountsWarning, ColumnsRenamedWarning,
    │   GenesLeftOutWarning
    ├── ClustersChangedWarning, RecordLostWarning, DecisionsWarning, FreeTextLabelWarning,
    │   LabelsUnresolvedWarning, TermsReplacedWarning
    ├── CellsUnmatchedWarning, WithinWarning
    ├── CellsQualityWarning, CellsDiagnosisWarning
    └── RunDamagedWarning, RunPlaceWarning, ServiceWordsWarning

A message and a hint name an argument in backquotes as it is written in Python, with a value
where it should have one: ``pass `overwrite=True```. R and the command line write it in their own
way; see :func:`spelled`.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import ClassVar, Literal, TypeVar

from ._version import PROJECT_URL

ISSUE_URL = f"{PROJECT_URL}/issues"


def page_of(code: str) -> str:
    """Return the address of what is written about a code of an error or warning.

    Examples
    --------
    >>> page_of("markers_empty").rpartition("/")[2]
    'errors.md#markers_empty'
    """
    return f"{PROJECT_URL}/blob/main/docs/errors.md#{code}"


class CellferryError(Exception):
    """Anything that stops cellferry.

    Parameters
    ----------
    message
        The problem as a full sentence, then what was given and what is valid.
    hint
        What to do next. Shown on a line of its own.
    data
        Machine-readable details (names, counts), JSON-serialisable; never a secret.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "", **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    @property
    def page(self) -> str:
        """Where cause and cure of this code are written."""
        return page_of(self.code)

    def add_to_hint(self, sentence: str) -> None:
        """Say one thing more of what to do next; after a line to paste, on a line of its own.

        Examples
        --------
        >>> error = CellferryError("There is no such run.", "See them: cellferry runs list")
        >>> error.add_to_hint("Nothing was changed.")
        >>> error.hint.splitlines()
        ['See them: cellferry runs list', 'Nothing was changed.']
        """
        apart = " " if self.hint.endswith((".", "!", "?")) else "\n"
        self.hint = f"{self.hint}{apart}{sentence}" if self.hint else sentence

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Return the error as plain data, the form in which it crosses to R and to the CLI."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "data": self.data,
        }


class CellferryWarning(UserWarning):
    """Something the user should know and that does not stop the work."""

    code: ClassVar[str] = "warning"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def page(self) -> str:
        """Where cause and cure of this code are written."""
        return page_of(self.code)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Return the warning as plain data, the form in which it crosses to R."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class InputError(CellferryError):
    """What was given cannot be used."""

    code = "input"


class UnsupportedObjectError(InputError):
    """The object is of a class that cellferry does not read."""

    code = "unsupported_object"


class InvalidObjectError(InputError):
    """The object is of a known class but its content contradicts itself."""

    code = "invalid_object"


class ObjectOutdatedError(InputError):
    """The object is of another generation of Seurat and must be converted first."""

    code = "object_outdated"


class LayerMissingError(InputError):
    """The assay does not have the counts or the normalised values that are needed."""

    code = "layer_missing"


class NotNormalizedError(InputError):
    """Scaled values or raw counts are where log-normalised ones are needed."""

    code = "not_normalized"


class GroupMissingError(InputError):
    """The metadata has no such column of clusters."""

    code = "group_missing"


class GroupEmptyError(InputError):
    """The column of clusters names no cluster at all."""

    code = "group_empty"


class GroupNotClustersError(InputError):
    """The column holds a measurement or names of cells, and no clusters."""

    code = "group_not_clusters"


class MarkersError(InputError):
    """A marker table cannot be used."""

    code = "markers"


class MarkersUnreadableError(MarkersError):
    """The file does not exist, cannot be opened, or is not text."""

    code = "markers_unreadable"


class MarkersFormatError(MarkersError):
    """The columns are none of the known formats, or are ambiguous."""

    code = "markers_format"


class MarkersEmptyError(MarkersError):
    """The table has no rows."""

    code = "markers_empty"


class MarkersStatisticError(MarkersError):
    """The table lacks the statistic that ranking needs."""

    code = "markers_statistic"


class MarkersClustersError(MarkersError):
    """The clusters of the table are not the clusters of the object."""

    code = "markers_clusters"


class MarkersMismatchError(MarkersError):
    """The table was computed for another clustering that uses the same names."""

    code = "markers_mismatch"


class MarkersRequiredError(MarkersError):
    """No markers were given and none can be computed from the object."""

    code = "markers_required"


class GeneIdentifiersError(InputError):
    """The genes are identifiers where symbols are needed."""

    code = "gene_identifiers"


class KnowledgeError(InputError):
    """A table of marker knowledge is not valid."""

    code = "knowledge"


class ModelError(InputError):
    """A trained model, or the reference it is made of, cannot be used."""

    code = "model"


class OptionError(InputError):
    """An argument cannot be used."""

    code = "option"


class UnknownOptionError(OptionError):
    """No such argument; the message names the nearest valid one."""

    code = "unknown_option"


class InvalidOptionError(OptionError):
    """The argument exists, its value is not valid."""

    code = "invalid_option"


class DeliveryError(CellferryError):
    """The labels cannot be written where they were asked for."""

    code = "delivery"


class InvalidKeyError(DeliveryError):
    """The key is not a name under which columns can be written."""

    code = "invalid_key"


class ColumnExistsError(DeliveryError):
    """A target column exists, and no record says that cellferry wrote it."""

    code = "column_exists"


class LabelsEditedError(ColumnExistsError):
    """Labels that cellferry wrote were edited by hand, and are not replaced unasked."""

    code = "labels_edited"


class OutputError(DeliveryError):
    """An output file cannot be written."""

    code = "output"


class DataInUseError(OutputError):
    """Another server uses the data folder."""

    code = "data_in_use"


class EngineError(CellferryError):
    """An engine cannot do what was asked."""

    code = "engine"


class UnknownEngineError(EngineError):
    """No engine of that name is registered."""

    code = "unknown_engine"


class EngineUnusableError(EngineError):
    """An engine of another package cannot be loaded, or is none."""

    code = "engine_unusable"


class EngineNeedsError(EngineError):
    """The engine needs a part that the study does not have."""

    code = "engine_needs"


class UploadNotAllowedError(EngineError):
    """The engine would send data off the machine and nobody allowed it."""

    code = "upload_not_allowed"


class CredentialsRequiredError(EngineError):
    """A run needs a key or token, and none is stored by design."""

    code = "credentials_required"


class ServiceError(EngineError):
    """A remote service did not do what was asked."""

    code = "service"

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service wants to be left alone, where it says so."""
        seconds = self.data.get("retry_after")
        return float(seconds) if isinstance(seconds, int | float) else None


class ServiceUnreachableError(ServiceError):
    """No connection to the service, or it broke off again and again."""

    code = "service_unreachable"


class ServiceTimeoutError(ServiceError):
    """The service did not answer, or did not finish, in the time allowed."""

    code = "service_timeout"


class ServiceCredentialsError(ServiceError):
    """The service wants another token or key (HTTP 401)."""

    code = "service_credentials"


class ServiceForbiddenError(ServiceError):
    """The service knows the token and refuses all the same (HTTP 403)."""

    code = "service_forbidden"


class ServiceNotFoundError(ServiceError):
    """The service has no such thing, or no longer (HTTP 404 or 410)."""

    code = "service_not_found"


class ServiceTooLargeError(ServiceError):
    """What was sent is larger than the service takes (HTTP 413)."""

    code = "service_too_large"


class ServiceRejectedError(ServiceError):
    """The service finds the request invalid (HTTP 422 and other 4xx)."""

    code = "service_rejected"


class ServiceLimitError(ServiceError):
    """The service has had enough requests for now (HTTP 429)."""

    code = "service_limit"


class ServiceFailedError(ServiceError):
    """The service has a fault of its own (HTTP 5xx)."""

    code = "service_failed"


class ServiceJobError(ServiceError):
    """The service gave up on the job."""

    code = "service_job"


class ServiceAnswerError(ServiceError):
    """The answer is not what the protocol says."""

    code = "service_answer"


class ServicePageError(ServiceAnswerError):
    """A web page came where data were expected, of a proxy or a sign-in page."""

    code = "service_page"


class ServiceRedirectError(ServiceAnswerError):
    """The service points to another address, which is not followed."""

    code = "service_redirect"


class RunError(CellferryError):
    """A run cannot be read or continued."""

    code = "run"


class RunNotFoundError(RunError):
    """No run of that id."""

    code = "run_not_found"


class RunMismatchError(RunError):
    """The object is not the one that the run was made from."""

    code = "run_mismatch"


class RunDamagedError(RunError):
    """The files of a run cannot be read."""

    code = "run_damaged"


class RunLockedError(RunError):
    """Another process, or another thread, works on the run."""

    code = "run_locked"


class InterruptedRunError(RunError):
    """The run was stopped by the user and can be resumed."""

    code = "interrupted"


class SchedulerError(RunError):
    """A cluster of dask cannot be reached, differs from this process, or was lost."""

    code = "scheduler"


class AnnotationsError(CellferryError):
    """Stored annotations cannot be read."""

    code = "annotations"


class AnnotationsMissingError(AnnotationsError):
    """The object holds no annotations under that key."""

    code = "annotations_missing"


class AnnotationsFormatError(AnnotationsError):
    """Stored annotations are of an unknown schema or damaged."""

    code = "annotations_format"


class DecisionsFormatError(AnnotationsError):
    """A file is none of decisions, is damaged, or a newer version wrote it."""

    code = "decisions_format"


class DecisionsMismatchError(AnnotationsError):
    """None of the decisions is about cells that this object has."""

    code = "decisions_mismatch"


class MergeError(AnnotationsError):
    """Annotated parts do not fit into the object, or contradict each other."""

    code = "merge"


class ArtifactError(CellferryError):
    """An artifact, vars.h5 or obs.duckdb, cannot be built or read."""

    code = "artifact"


class ArtifactFormatError(ArtifactError):
    """The file is not an artifact, is damaged, or is not safe to read."""

    code = "artifact_format"


class ArtifactBuildError(ArtifactError):
    """An artifact could not be built; nothing is left under its name."""

    code = "artifact_build"


class ArtifactValuesError(ArtifactBuildError):
    """The matrix holds values that are not finite numbers."""

    code = "artifact_values"


class DependencyError(CellferryError):
    """An optional package is needed and not installed."""

    code = "dependency_missing"


class EmbeddingError(CellferryError):
    """R cannot be run inside this Python process."""

    code = "embedding"


class InternalError(CellferryError):
    """A fault in cellferry itself; the hint says where to report it."""

    code = "internal"


class ClustersWithoutMarkersWarning(CellferryWarning):
    """Some clusters of the object have no row in the marker table."""

    code = "clusters_without_markers"


class MarkersUnknownClustersWarning(CellferryWarning):
    """Some clusters of the marker table are not in the object."""

    code = "markers_unknown_clusters"


class ClustersChangedWarning(CellferryWarning):
    """The cells have other clusters or labels than those that were annotated."""

    code = "clusters_changed"


class RecordLostWarning(CellferryWarning):
    """Columns that cellferry wrote are replaced; the object had lost their record."""

    code = "record_lost"


class DecisionsWarning(CellferryWarning):
    """Decisions that do not hold any more, or could not all be applied or kept."""

    code = "decisions"


class CellsUnmatchedWarning(CellferryWarning):
    """Some cells of an annotated part are not in the object that it is merged into."""

    code = "cells_unmatched"


class WithinWarning(CellferryWarning):
    """Subclusters whose answer is no kind of their parent's label, or that have no parent."""

    code = "within"


class FreeTextLabelWarning(CellferryWarning):
    """A label of a person is no term of the Cell Ontology."""

    code = "label_free_text"


class LabelsUnresolvedWarning(CellferryWarning):
    """Labels of an annotator are no terms of the Cell Ontology."""

    code = "labels_unresolved"


class TermsReplacedWarning(CellferryWarning):
    """Terms that a portal does not take are written as broader ones."""

    code = "terms_replaced"


class CellsWithoutClusterWarning(CellferryWarning):
    """Some cells have no cluster and get no label."""

    code = "cells_without_cluster"


class CellsWithoutExpressionWarning(CellferryWarning):
    """Some cells of the object are not in the assay that is read."""

    code = "cells_without_expression"


class ServiceWordsWarning(CellferryWarning):
    """A service uses a word for the state of a job that nobody knows."""

    code = "service_words"


class SpeciesWarning(CellferryWarning):
    """The stated species contradicts the gene names, or none can be recognised."""

    code = "species"


class TissueWarning(CellferryWarning):
    """The tissue, or a part of it, was not understood."""

    code = "tissue"


class KnowledgeWarning(CellferryWarning):
    """Genes of the user's own knowledge are no known symbols."""

    code = "knowledge"


class GenesUnrecognisedWarning(CellferryWarning):
    """Few of the genes are known to the engine."""

    code = "genes_unrecognised"


class GenesLeftOutWarning(CellferryWarning):
    """Genes that some of several files do not have are left out."""

    code = "genes_left_out"


class NormalisationWarning(CellferryWarning):
    """The expression values do not look log-normalised."""

    code = "normalisation"


class CoordinatesWarning(CellferryWarning):
    """There is no usable embedding, or another one is used."""

    code = "coordinates"


class CountsWarning(CellferryWarning):
    """Values that looked like raw counts are not, and are left out."""

    code = "counts"


class ColumnsRenamedWarning(CellferryWarning):
    """Columns were renamed because a database does not distinguish their names."""

    code = "columns_renamed"


class CellsQualityWarning(CellferryWarning):
    """Some cells look empty, dying or doubled."""

    code = "cells_quality"


class CellsDiagnosisWarning(CellferryWarning):
    """The answers for the cells look wrong as a whole."""

    code = "cells_diagnosis"


class RunDamagedWarning(CellferryWarning):
    """Part of what a run keeps was damaged on the disk, and is made anew."""

    code = "run_damage"


class RunPlaceWarning(CellferryWarning):
    """The user's data folder cannot be written, so the run is found by its folder only."""

    code = "run_place"


Language = Literal["python", "r", "cli"]

language: ContextVar[Language] = ContextVar("language", default="python")
"""What the user writes: Python, R, or options of the command line. Messages have lines of it."""


def in_language(*, python: str, r: str, cli: str) -> str:
    """Return the text for a user of Python, of R or of the command line.

    Examples
    --------
    >>> in_language(python="group_key=", r="group.by =", cli="--group-key")
    'group_key='
    """
    return {"python": python, "r": r, "cli": cli}[language.get()]


def warn(warning: CellferryWarning) -> None:
    """Give a warning that points to the line of the caller of this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("cellferry"):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)


_Coded = TypeVar("_Coded", CellferryError, CellferryWarning)


def _walk(base: type[_Coded]) -> list[type[_Coded]]:
    found = [base]
    for child in base.__subclasses__():
        found.extend(_walk(child))
    return found


def error_codes() -> dict[str, str]:
    """Return every error code and the first line of its meaning, sorted by code.

    Examples
    --------
    >>> error_codes()["markers_empty"]
    'The table has no rows.'
    """
    return {c.code: _meaning(c) for c in sorted(_walk(CellferryError), key=lambda c: c.code)}


def warning_codes() -> dict[str, str]:
    """Return every warning code and the first line of its meaning, sorted by code."""
    return {c.code: _meaning(c) for c in sorted(_walk(CellferryWarning), key=lambda c: c.code)}


def _meaning(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def error_class(code: str) -> type[CellferryError]:
    """Return the error class of a code; an unknown one is :class:`InternalError`.

    Examples
    --------
    >>> error_class("markers_empty").__name__
    'MarkersEmptyError'
    """
    return {c.code: c for c in _walk(CellferryError)}.get(code, InternalError)


def warning_class(code: str) -> type[CellferryWarning]:
    """Return the warning class of a code; an unknown one is :class:`CellferryWarning`."""
    return {c.code: c for c in _walk(CellferryWarning)}.get(code, CellferryWarning)


def error_from_r(class_name: str, text: str, where: str) -> CellferryError:
    """Return the error of a condition of R, by its class and its text.

    Parameters
    ----------
    class_name
        First class of the condition, for example ``cellferry_invalid_object_error``.
    text
        Its message; from the second line on it is the hint.
    where
        What was running, for an error that is not ours.

    Examples
    --------
    >>> error_from_r("cellferry_group_missing_error", "No such column.\\ni Choose one.", "").hint
    'Choose one.'
    """
    message, hint = _split_r(text)
    if class_name.startswith("cellferry_"):
        code = class_name.removeprefix("cellferry_").removesuffix("_error")
        return error_class(code)(message, hint)
    return InternalError(f"R stopped in {where}: {text}", f"Please report it at {ISSUE_URL}.")


def warn_from_r(class_name: str, text: str) -> None:
    """Give a warning of R as ours; one that is not ours goes to the log."""
    message, hint = _split_r(text)
    if class_name.startswith("cellferry_"):
        code = class_name.removeprefix("cellferry_").removesuffix("_warning")
        warnings.warn(warning_class(code)(message, hint), stacklevel=3)
    else:
        logging.getLogger("cellferry").warning("R: %s", text)


def _split_r(text: str) -> tuple[str, str]:
    message, _, rest = text.partition("\n")
    # rlang puts a sign before a hint.
    return message, re.sub(r"(?m)^(\u2139|i|\*) ", "", rest)


_NAMED = re.compile(r"`([A-Za-z][\w.]*)(\(\))?(?: ?= ?([^`]*))?`")


def spelled(text: str, spell: Callable[[str, str | None], str | None]) -> str:
    """Return a message with its arguments and functions as another interface writes them.

    Parameters
    ----------
    text
        A message or hint; what it names stands in backquotes: `` `overwrite=True` ``,
        `` `group_key` ``, `` `annotate_cells()` ``.
    spell
        Called with the name (of a function with its brackets) and the text of the value, or None
        without one. What it returns stands in place of the backquotes and all between them; None
        leaves it as it is.

    Examples
    --------
    >>> spelled("Pass `overwrite=True`.", lambda name, value: f"--{name}")
    'Pass --overwrite.'
    """

    def written(found: re.Match[str]) -> str:
        name, brackets, value = found.groups()
        return spell(name + (brackets or ""), value) or found[0]

    return _NAMED.sub(written, text)


def nearest(name: str, valid: list[str] | tuple[str, ...]) -> str | None:
    """Return the valid name that `name` was most likely meant to be, or None.

    Dots, underscores and case do not count, so ``group_by`` finds ``group.by``.

    Parameters
    ----------
    name
        What was given.
    valid
        What is valid.

    Examples
    --------
    >>> nearest("group_by", ["group.by", "key"])
    'group.by'
    """
    from difflib import get_close_matches

    def plain(text: str) -> str:
        return text.replace(".", "").replace("_", "").lower()

    by_plain = {plain(v): v for v in valid}
    close = get_close_matches(plain(name), list(by_plain), n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None


def counted(n: int, what: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Examples
    --------
    >>> counted(1, "cell"), counted(2, "cell")
    ('1 cell', '2 cells')
    """
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def listing(names: list[str] | tuple[str, ...], most: int = 10) -> str:
    """Return names quoted and joined for a message, cut after `most`.

    Parameters
    ----------
    names
        In order.
    most
        How many are shown.

    Examples
    --------
    >>> listing(["a", "b"])
    '"a", "b"'
    """
    shown = ", ".join(f'"{n}"' for n in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def enumerated(texts: list[str] | tuple[str, ...], most: int = 5) -> str:
    """Return texts that have quotes of their own, joined for a message.

    Parameters
    ----------
    texts
        In order.
    most
        How many are shown.

    Examples
    --------
    >>> enumerated(['cluster "3": B cell', "2 cells: T cell", "x"], 2)
    'cluster "3": B cell; 2 cells: T cell; and 1 more'
    """
    rest = len(texts) - most
    return "; ".join([*texts[:most], *([f"and {rest} more"] if rest > 0 else [])])
