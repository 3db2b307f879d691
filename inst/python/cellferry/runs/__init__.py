"""Work that is done once and remembered: runs, their journal, the worker thread, progress."""

from .catalogue import Deleted, delete_runs, prune_runs
from .run import Run, claim_outputs, home, list_runs

__all__ = ["Deleted", "Run", "claim_outputs", "delete_runs", "home", "list_runs", "prune_runs"]
