"""JSON as models write it: read where there is one way to read it, refused where it is cut off.

Trailing commas, Python's literals, single and typographic quotes, stray escapes, line breaks
in a text, comments, names without quotes, quotes within a text. What is not closed is never
completed: half an answer is none.
"""

from __future__ import annotations

import json
import re

_CLOSES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
_LITERALS: dict[str, object] = {
    "true": True, "false": False, "null": None, "none": None, "nan": None,
    "infinity": None, "-infinity": None, "undefined": None,
}  # fmt: skip
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/"}
_SPACE = re.compile(r"(?:\s|\ufeff|\u200b|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BARE = re.compile(r"[^\s,:{}\[\]\"]+")
_REST = re.compile(r"[^\n,{}\[\]\"]*")
_AFTER_TEXT = re.compile(r"\s*(?:[,:}\]]|//|/\*|\Z)")
_NAME_ON_NEXT_LINE = re.compile(r"[ \t]*\r?\n\s*[\"'][\w ]+[\"']\s*:")
_UNICODE = re.compile(r"[0-9a-fA-F]{4}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?")
_DEEPEST = 20


def read_value(text: str) -> object:
    """Return what a whole text is; raises ``ValueError`` where more than one value is in it.

    Examples
    --------
    >>> read_value("['CD3D', 'IL7R',]")
    ['CD3D', 'IL7R']
    """
    # A space, so that a word at the end is not taken for one that is cut off.
    reader = _Reader(text.strip() + " ", 0)
    found = reader.value(0)
    if reader.at < len(text.strip()):
        message = "There is more behind it."
        raise ValueError(message)
    return found


def read_object(text: str, start: int) -> tuple[dict[str, object], int]:
    """Return the object that begins at a brace, and where it ends.

    Parameters
    ----------
    text
        What the model wrote.
    start
        Where the brace is.

    Raises
    ------
    ValueError
        There is none, or it is not complete.

    Examples
    --------
    >>> read_object("{'passed': True, genes: ['CD3D',],}", 0)[0]
    {'passed': True, 'genes': ['CD3D']}
    """
    reader = _Reader(text, start)
    found = reader.value(0)
    if not isinstance(found, dict):
        message = "There is no object."
        raise ValueError(message)
    return found, reader.at


class _Reader:
    """Reads one value after the other."""

    def __init__(self, text: str, start: int) -> None:
        self.text, self.at = text, start

    def _next(self) -> str:
        """Return the next character that counts; an empty text at the end."""
        if (space := _SPACE.match(self.text, self.at)) is not None:
            self.at = space.end()
        return self.text[self.at : self.at + 1]

    def value(self, depth: int) -> object:
        mark = self._next()
        if not mark or depth > _DEEPEST:
            message = "It is cut off, or too deep."
            raise ValueError(message)
        if mark == "{":
            return self._members(depth)
        if mark == "[":
            return self._items(depth)
        return self._text(mark) if mark in _CLOSES else self._bare()

    def _members(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        self.at += 1
        while (mark := self._next()) != "}":
            name = self._text(mark) if mark in _CLOSES else self._name()
            if self._next() != ":":
                message = f"Nothing stands behind {name[:40]!r}."
                raise ValueError(message)
            self.at += 1
            found[name] = self.value(depth + 1)
            self._comma("}")
        self.at += 1
        return found

    def _items(self, depth: int) -> list[object]:
        found: list[object] = []
        self.at += 1
        while self._next() != "]":
            found.append(self.value(depth + 1))
            self._comma("]")
        self.at += 1
        return found

    def _comma(self, end: str) -> None:
        """Go past a comma. Between a value and a text on the next line it may be missing."""
        before = self.at
        mark = self._next()
        if mark == ",":
            self.at += 1
        elif mark != end and not (mark in _CLOSES and "\n" in self.text[before : self.at]):
            message = f"There is no comma at {self.at}."
            raise ValueError(message)

    def _text(self, mark: str) -> str:
        """Read a text; a quote within it is part of it if nothing that ends a text follows."""
        close, parts = _CLOSES[mark], []
        at = self.at + 1
        while at < len(self.text):
            character = self.text[at]
            if character == "\\":
                part, at = self._escaped(at + 1)
                parts.append(part)
            elif character == close and self._ends(at + 1):
                self.at = at + 1
                return "".join(parts)
            else:
                parts.append(character)
                at += 1
        message = "A text is cut off."
        raise ValueError(message)

    def _ends(self, at: int) -> bool:
        """Whether a text may end here: a mark follows, or a name on the next line."""
        return bool(_AFTER_TEXT.match(self.text, at) or _NAME_ON_NEXT_LINE.match(self.text, at))

    def _escaped(self, at: int) -> tuple[str, int]:
        """Return what an escape stands for; a stray one for its character."""
        code = self.text[at : at + 1]
        if code == "u":
            digits = _UNICODE.match(self.text, at + 1)
            if digits is None:
                return "u", at + 1
            return str(json.loads(f'"\\u{digits[0]}"')), at + 1 + len(digits[0])
        return _ESCAPES.get(code, code), at + 1

    def _name(self) -> str:
        found = _BARE.match(self.text, self.at)
        if found is None:
            message = f"There is no name at {self.at}."
            raise ValueError(message)
        self.at = found.end()
        return found[0]

    def _bare(self) -> object:
        """Read a number, a literal, or a word without quotes."""
        found = _BARE.match(self.text, self.at)
        if found is None or found.end() == len(self.text):
            message = f"There is no value at {self.at}."
            raise ValueError(message)
        self.at = found.end()
        word = found[0]
        if word.lower() in _LITERALS:
            return _LITERALS[word.lower()]
        try:
            return int(word) if re.fullmatch(r"[+-]?\d+", word) else float(word)
        except ValueError:
            # The words of a sentence without quotes end at what ends a value.
            if (rest := _REST.match(self.text, self.at)) is not None:
                self.at = rest.end()
                word += rest[0]
            return word.strip()
