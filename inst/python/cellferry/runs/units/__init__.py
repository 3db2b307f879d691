"""Units of work on a cluster of dask that the user has: sent, remembered, never done twice.

A unit is a function by its name, a job that all units of a call share, and a few numbers that say
which part it is. What determines its result is its key: a run that is resumed sends only those
whose result is not there. Results come in any order and are given in that of the units, so that
the number of workers changes nothing. The scheduler is dask's, and this package alone knows it.
"""

from .cluster import Cluster, Work
from .connection import opened_cluster
from .remembered import Remembered, packed, unpacked
from .unit import Job, Unit, even_length

__all__ = [
    "Cluster", "Job", "Remembered", "Unit", "Work", "even_length", "opened_cluster", "packed",
    "unpacked",
]  # fmt: skip
