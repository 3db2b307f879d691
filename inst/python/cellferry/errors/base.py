"""What every error and warning of cellferry is."""

from __future__ import annotations

from typing import Any, ClassVar

ISSUE_URL = "https://github.com/cellferry/cellferry/issues"


class CellferryError(Exception):
    """Anything that stops cellferry.

    Parameters
    ----------
    message
        The problem as a full sentence, then what was given and what is valid.
    hint
        What to do next. Shown on a line of its own.
    data
        Machine-readable details (names, counts), JSON-serialisable; never a secret.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain data, the form in which it crosses to R and to the CLI."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "data": self.data,
        }


class CellferryWarning(UserWarning):
    """Something the user should know and that does not stop the work."""

    code: ClassVar[str] = "warning"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the warning as plain data, the form in which it crosses to R."""
        return {"code": self.code, "message": self.message, "hint": self.hint}
