"""Every error and warning cellferry raises, in one tree.

Each class has a stable ``code``. R turns ``code`` into the condition class
``cellferry_<code>_error`` (or ``_warning``), so a script in either language can
react to the same thing. The tree::

    CellferryError
    ├── InputError              what was given cannot be used
    │   ├── UnsupportedObjectError, InvalidObjectError, ObjectOutdatedError
    │   ├── LayerMissingError, NotNormalizedError
    │   ├── GroupMissingError, GroupEmptyError
    │   ├── MarkersError        everything about a marker table
    │   │   ├── MarkersUnreadableError, MarkersFormatError, MarkersEmptyError
    │   │   ├── MarkersStatisticError, MarkersClustersError
    │   │   ├── MarkersMismatchError, MarkersRequiredError
    │   ├── GeneIdentifiersError
    │   ├── KnowledgeError
    │   └── OptionError         UnknownOptionError, InvalidOptionError
    ├── DeliveryError           InvalidKeyError, ColumnExistsError, OutputError (DataInUseError)
    ├── EngineError             UnknownEngineError, EngineNeedsError, UploadNotAllowedError,
    │                           CredentialsRequiredError
    │   └── ServiceError        a remote service did not do what was asked
    │       ├── ServiceUnreachableError, ServiceTimeoutError, ServiceJobError
    │       ├── ServiceCredentialsError (401), ServiceForbiddenError (403)
    │       ├── ServiceNotFoundError (404), ServiceTooLargeError (413)
    │       ├── ServiceRejectedError (422), ServiceLimitError (429), ServiceFailedError (5xx)
    │       └── ServiceAnswerError      ServicePageError, ServiceRedirectError
    ├── RunError                RunNotFoundError, RunMismatchError, RunDamagedError,
    │                           InterruptedRunError
    ├── AnnotationsError        AnnotationsMissingError, AnnotationsFormatError
    ├── ArtifactError           ArtifactFormatError, ArtifactBuildError
    │                           └── ArtifactValuesError
    ├── DependencyError         an optional package is not installed
    ├── EmbeddingError          R cannot be run inside this process
    └── InternalError           a fault of ours

    CellferryWarning
    ├── ClustersWithoutMarkersWarning, MarkersUnknownClustersWarning
    ├── CellsWithoutClusterWarning, CellsWithoutExpressionWarning
    ├── SpeciesWarning, GenesUnrecognisedWarning, MarkersComputedWarning
    ├── NormalisationWarning, CoordinatesWarning, CountsWarning, ColumnsRenamedWarning
    └── CellsQualityWarning, CellsDiagnosisWarning

The classes live in the modules of this package by what they are about; they are imported from
here, and say so in a traceback.
"""

from __future__ import annotations

from .base import (
    ISSUE_URL,
    CellferryError,
    CellferryWarning,
)
from .cautions import (
    CellsDiagnosisWarning,
    CellsQualityWarning,
    CellsWithoutClusterWarning,
    CellsWithoutExpressionWarning,
    ClustersWithoutMarkersWarning,
    ColumnsRenamedWarning,
    CoordinatesWarning,
    CountsWarning,
    GenesUnrecognisedWarning,
    MarkersComputedWarning,
    MarkersUnknownClustersWarning,
    NormalisationWarning,
    SpeciesWarning,
)
from .codes import (
    error_class,
    error_codes,
    error_from_r,
    warn_from_r,
    warning_class,
    warning_codes,
)
from .engines import (
    CredentialsRequiredError,
    EngineError,
    EngineNeedsError,
    ServiceAnswerError,
    ServiceCredentialsError,
    ServiceError,
    ServiceFailedError,
    ServiceForbiddenError,
    ServiceJobError,
    ServiceLimitError,
    ServiceNotFoundError,
    ServicePageError,
    ServiceRedirectError,
    ServiceRejectedError,
    ServiceTimeoutError,
    ServiceTooLargeError,
    ServiceUnreachableError,
    UnknownEngineError,
    UploadNotAllowedError,
)
from .inputs import (
    ColumnExistsError,
    DataInUseError,
    DeliveryError,
    GeneIdentifiersError,
    GroupEmptyError,
    GroupMissingError,
    InputError,
    InvalidKeyError,
    InvalidObjectError,
    InvalidOptionError,
    KnowledgeError,
    LayerMissingError,
    MarkersClustersError,
    MarkersEmptyError,
    MarkersError,
    MarkersFormatError,
    MarkersMismatchError,
    MarkersRequiredError,
    MarkersStatisticError,
    MarkersUnreadableError,
    NotNormalizedError,
    ObjectOutdatedError,
    OptionError,
    OutputError,
    UnknownOptionError,
    UnsupportedObjectError,
)
from .records import (
    AnnotationsError,
    AnnotationsFormatError,
    AnnotationsMissingError,
    ArtifactBuildError,
    ArtifactError,
    ArtifactFormatError,
    ArtifactValuesError,
    DependencyError,
    EmbeddingError,
    InternalError,
    InterruptedRunError,
    RunDamagedError,
    RunError,
    RunMismatchError,
    RunNotFoundError,
)
from .words import (
    listing,
    nearest,
)

__all__ = [
    "ISSUE_URL",
    "AnnotationsError",
    "AnnotationsFormatError",
    "AnnotationsMissingError",
    "ArtifactBuildError",
    "ArtifactError",
    "ArtifactFormatError",
    "ArtifactValuesError",
    "CellferryError",
    "CellferryWarning",
    "CellsDiagnosisWarning",
    "CellsQualityWarning",
    "CellsWithoutClusterWarning",
    "CellsWithoutExpressionWarning",
    "ClustersWithoutMarkersWarning",
    "ColumnExistsError",
    "ColumnsRenamedWarning",
    "CoordinatesWarning",
    "CountsWarning",
    "CredentialsRequiredError",
    "DataInUseError",
    "DeliveryError",
    "DependencyError",
    "EmbeddingError",
    "EngineError",
    "EngineNeedsError",
    "GeneIdentifiersError",
    "GenesUnrecognisedWarning",
    "GroupEmptyError",
    "GroupMissingError",
    "InputError",
    "InternalError",
    "InterruptedRunError",
    "InvalidKeyError",
    "InvalidObjectError",
    "InvalidOptionError",
    "KnowledgeError",
    "LayerMissingError",
    "MarkersClustersError",
    "MarkersComputedWarning",
    "MarkersEmptyError",
    "MarkersError",
    "MarkersFormatError",
    "MarkersMismatchError",
    "MarkersRequiredError",
    "MarkersStatisticError",
    "MarkersUnknownClustersWarning",
    "MarkersUnreadableError",
    "NormalisationWarning",
    "NotNormalizedError",
    "ObjectOutdatedError",
    "OptionError",
    "OutputError",
    "RunDamagedError",
    "RunError",
    "RunMismatchError",
    "RunNotFoundError",
    "ServiceAnswerError",
    "ServiceCredentialsError",
    "ServiceError",
    "ServiceFailedError",
    "ServiceForbiddenError",
    "ServiceJobError",
    "ServiceLimitError",
    "ServiceNotFoundError",
    "ServicePageError",
    "ServiceRedirectError",
    "ServiceRejectedError",
    "ServiceTimeoutError",
    "ServiceTooLargeError",
    "ServiceUnreachableError",
    "SpeciesWarning",
    "UnknownEngineError",
    "UnknownOptionError",
    "UnsupportedObjectError",
    "UploadNotAllowedError",
    "error_class",
    "error_codes",
    "error_from_r",
    "listing",
    "nearest",
    "warn_from_r",
    "warning_class",
    "warning_codes",
]

for _name, _value in list(globals().items()):
    if isinstance(_value, type) and issubclass(_value, CellferryError | CellferryWarning):
        _value.__module__ = __name__
