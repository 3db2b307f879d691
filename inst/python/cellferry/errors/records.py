"""Errors of what is kept (runs, annotations, artifacts) and of the installation."""

from __future__ import annotations

from .base import CellferryError


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


class InterruptedRunError(RunError):
    """The run was stopped by the user and can be resumed."""

    code = "interrupted"


class AnnotationsError(CellferryError):
    """Stored annotations cannot be read."""

    code = "annotations"


class AnnotationsMissingError(AnnotationsError):
    """The object holds no annotations under that key."""

    code = "annotations_missing"


class AnnotationsFormatError(AnnotationsError):
    """Stored annotations are of an unknown schema or damaged."""

    code = "annotations_format"


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
