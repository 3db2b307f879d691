"""Work that is done once and remembered: runs, their journal, the worker thread, progress."""

from .run import Run, claim_outputs, home, list_runs

__all__ = ["Run", "claim_outputs", "home", "list_runs"]
