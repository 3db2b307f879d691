"""A run that keeps nothing."""

from __future__ import annotations

from cellferry.errors import RunDamagedError


class Journal:
    """A run that keeps nothing."""

    def finished(self) -> dict[str, object]:
        return {}

    def has(self, _name: str) -> bool:
        return False

    def record(self, *_args: object) -> None:
        pass

    def store(self, *_args: object) -> None:
        pass

    def load(self, name: str) -> dict[str, object]:
        raise RunDamagedError(name)
