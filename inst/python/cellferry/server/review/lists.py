"""Lists of genes that a person draws on the page: what is taken, to be there again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..bodies import FIRST_ERROR, Body, Name

MOST_LISTS = 200
MOST_GENES = 2000


class GeneList(Body):
    """A list and its genes, as they were pasted."""

    name: Name
    genes: Annotated[list[Name], Field(max_length=MOST_GENES), FIRST_ERROR]


class GeneLists(Body):
    """All lists of the page: those before are replaced."""

    lists: Annotated[list[GeneList], Field(max_length=MOST_LISTS), FIRST_ERROR]
