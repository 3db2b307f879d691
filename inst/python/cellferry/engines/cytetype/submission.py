"""The request that submits a job: payload, models with their keys, uploads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...errors import ISSUE_URL, CellferryError, ServiceCredentialsError, ServiceForbiddenError

if TYPE_CHECKING:
    from .llm_configs import LLMConfigs
    from .options import Options
    from .prepare import Prepared
    from .uploads import Uploader

logger = logging.getLogger("cellferry")


class Submission:
    """Makes the request; keys are put in at the last moment and kept nowhere."""

    def __init__(
        self, prepared: Prepared, uploader: Uploader, options: Options, models: LLMConfigs
    ) -> None:
        self._prepared, self._uploader = prepared, uploader
        self._options, self._models = options, models

    def envelope(self, reuse: bool) -> dict[str, Any]:
        """Return the request, once the artifacts are with the service.

        Parameters
        ----------
        reuse
            Whether a complete upload of the same content may be named again.

        Raises
        ------
        ServiceError, OutputError
            An upload failed, and ``require_artifacts`` asks for it; the hint ends with the
            link for reporting an issue.
        """
        uploads = self._uploads(reuse)
        request: dict[str, Any] = {
            "input_data": self._prepared.payload,
            "llm_configs": self._models.wire(),
        }
        if uploads:
            request["uploaded_files"] = uploads
        if self._options.visibility is not None:
            request["visibility"] = self._options.visibility
        return request

    def _uploads(self, reuse: bool) -> dict[str, str]:
        uploads: dict[str, str] = {}
        for kind, path in self._prepared.artifacts.items():
            if not reuse:
                self._uploader.forget(kind, path)
            try:
                uploads[kind] = self._uploader.upload(kind, path, reuse=reuse)
            except CellferryError as error:
                # A refused token is refused for the job too.
                stays = isinstance(error, ServiceCredentialsError | ServiceForbiddenError)
                if self._options.require_artifacts or stays:
                    error.hint = (
                        f"{error.hint}\nIf it stays so, report it at {ISSUE_URL}, or go on "
                    )
                    error.hint += "without artifacts: require_artifacts = FALSE (Python: False)."
                    raise
                logger.warning("%s was not uploaded: %s", path.name, error.message)
        return uploads
