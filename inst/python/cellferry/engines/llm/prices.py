"""Prices: what calls cost, where that is known.

The table is that of ``genai-prices``, which comes with ``pydantic-ai-slim`` and is read
from the installed package: no network. A price that is not in it is unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import Endpoint

_NAMES_THERE = {"bedrock": "aws"}
_PER = 1_000_000


def cost(
    endpoint: Endpoint,
    prices: Mapping[str, float] | None,
    input_tokens: int,
    output_tokens: int,
) -> float | None:
    """Return USD, or None where no price is known.

    Parameters
    ----------
    prices
        The user's own, in USD per million tokens; they win.
    """
    if prices is not None:
        return (input_tokens * prices["input"] + output_tokens * prices["output"]) / _PER
    if endpoint.base_url is not None:
        # Somebody else's server has somebody else's prices.
        return None
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    provider = _NAMES_THERE.get(endpoint.provider, endpoint.provider)
    try:
        return float(calc_price(usage, endpoint.model, provider_id=provider).total_price)
    except LookupError:
        return None
