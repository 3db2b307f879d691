"""The seam to the LLM engine: a request's ``llm_configs`` become its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..engines import create_engine
from ..engines.llm.options import PROVIDERS
from ..engines.llm.providers import check_packages
from ..errors import CellferryError, DependencyError, listing
from .failures import Code, Failure

if TYPE_CHECKING:
    from ..engines import Engine
    from .llm_configs import LLMConfig

NAME = "llm"


def llm_engine(configs: Sequence[LLMConfig], parallel: int) -> Engine:
    """Return the LLM engine of a request, clusters in parallel as asked.

    The first entry that annotates does so; one for the reviewer, or a second one, checks.

    Raises
    ------
    Failure
        It does not take the configs.
    """
    annotators = [c for c in configs if not c.target_agents or "annotator" in c.target_agents]
    reviewers = [c for c in configs if "reviewer" in c.target_agents and c not in annotators]
    if not annotators:
        message = "`llm_configs` must have an entry for the agent annotator."
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    chosen = [annotators[0], *(reviewers or annotators[1:])[:1]]
    for config in chosen:
        _check(config)
    options = {"llm_configs": [c.to_wire() for c in chosen], "max_workers": parallel}
    try:
        return create_engine(NAME, options)
    except CellferryError as error:
        raise Failure(Code.LLM_VALIDATION_FAILED, error.message) from error


def _check(config: LLMConfig) -> None:
    """Tell at once what would fail the job later."""
    if config.provider not in PROVIDERS:
        message = (
            f"This server has no models of {config.provider}; it has {listing(PROVIDERS)}. "
            "Any OpenAI-compatible one is reached as openai with its `baseUrl`."
        )
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    if config.api_key is None:
        message = f"This server takes models of {config.provider} with an `apiKey` only."
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    try:
        check_packages(config.provider)
    except DependencyError as error:
        message = (
            f"This server has no language models: {error.message} "
            "Leave `llm_configs` out to use its own engine."
        )
        raise Failure(Code.LLM_VALIDATION_FAILED, message) from error
