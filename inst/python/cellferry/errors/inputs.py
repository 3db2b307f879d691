"""Errors of what was given, and of where labels are to be written."""

from __future__ import annotations

from .base import CellferryError


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
    """The assay does not hold the counts or the normalised values that are needed."""

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
    """A target column exists and cellferry did not write it."""

    code = "column_exists"


class OutputError(DeliveryError):
    """An output file cannot be written."""

    code = "output"


class DataInUseError(OutputError):
    """Another server uses the data folder."""

    code = "data_in_use"
