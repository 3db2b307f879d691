"""Errors of engines, and of the services that some of them ask."""

from __future__ import annotations

from .base import CellferryError


class EngineError(CellferryError):
    """An engine cannot do what was asked."""

    code = "engine"


class UnknownEngineError(EngineError):
    """No engine of that name is registered."""

    code = "unknown_engine"


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
