"""Where the reasoning of a model ends and its answer begins, if both are in one text."""

from __future__ import annotations

import re

_NAMES = r"(?:seed:)?(?:think(?:ing)?|thought|reasoning|analysis|scratchpad)"
_CLOSED = re.compile(
    rf"</{_NAMES}\s*>|\[/THINK\]|\u25c1/think\u25b7|<\|?/think\|?>|<\|end_of_thought\|>"
    r"|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_OPENED = re.compile(
    rf"<{_NAMES}\s*>|\[THINK\]|\u25c1think\u25b7|<\|?think\|?>|<\|begin_of_thought\|>"
    r"|<\|channel\|>(?:analysis|commentary)",
    re.IGNORECASE,
)


def answer_part(text: str) -> str | None:
    """Return what stands behind the reasoning of a reply, None if it ends within it.

    What stands before the last mark that ends a reasoning is a draft, whether a mark began it
    or not: some servers leave out the first.

    Examples
    --------
    >>> answer_part("<think>B? No.</think> T cell"), answer_part("B? No.</think> T cell")
    (' T cell', ' T cell')
    >>> answer_part("<think>It may be a B cell"), answer_part("T cell")
    (None, 'T cell')
    """
    end = 0
    for found in _CLOSED.finditer(text):
        end = found.end()
    rest = text[end:]
    return None if _OPENED.search(rest) else rest
