"""Warnings: what the user should know and that does not stop the work."""

from __future__ import annotations

from .base import CellferryWarning


class ClustersWithoutMarkersWarning(CellferryWarning):
    """Some clusters of the object have no row in the marker table."""

    code = "clusters_without_markers"


class MarkersUnknownClustersWarning(CellferryWarning):
    """Some clusters of the marker table are not in the object."""

    code = "markers_unknown_clusters"


class CellsWithoutClusterWarning(CellferryWarning):
    """Some cells have no cluster and get no label."""

    code = "cells_without_cluster"


class CellsWithoutExpressionWarning(CellferryWarning):
    """Some cells of the object are not in the assay that is read."""

    code = "cells_without_expression"


class SpeciesWarning(CellferryWarning):
    """The stated species contradicts the gene names, or none can be told."""

    code = "species"


class GenesUnrecognisedWarning(CellferryWarning):
    """Few of the genes are known to the engine."""

    code = "genes_unrecognised"


class MarkersComputedWarning(CellferryWarning):
    """No markers were given, so they are computed, which may take long."""

    code = "markers_computed"


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
    """Columns were renamed because a database does not tell their names apart."""

    code = "columns_renamed"


class CellsQualityWarning(CellferryWarning):
    """Some cells look empty, dying or doubled."""

    code = "cells_quality"


class CellsDiagnosisWarning(CellferryWarning):
    """The answers for the cells look wrong as a whole."""

    code = "cells_diagnosis"
