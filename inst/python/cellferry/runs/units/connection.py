"""The cluster of a scheduler: an address, a client, or one that is begun on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import DependencyError, InvalidOptionError, SchedulerError
from .cluster import Cluster

LOCAL = "local"
"""What starts a cluster on this machine, for as long as the call lasts."""
CONNECT_SECONDS = 15
BEGIN_SECONDS = 120
"""So long the first worker of a cluster on this machine is waited for."""
_INSTALL = 'Run: pip install "cellferry[distributed]"'


@contextmanager
def opened_cluster(scheduler: object) -> Iterator[Cluster]:
    """Yield the cluster of a scheduler; what was begun for the call is ended after it.

    Parameters
    ----------
    scheduler
        The address of a scheduler (``"tcp://host:8786"``), a client of ``distributed``, or
        ``"local"``: a worker for each processor of this machine.

    Raises
    ------
    DependencyError
        ``distributed`` is not installed.
    InvalidOptionError
        It is none of these.
    SchedulerError
        Nobody answers at the address.
    """
    try:
        import distributed
    except ImportError as error:
        message = "The package distributed, which speaks to clusters of dask, is not installed."
        raise DependencyError(message, _INSTALL) from error
    if isinstance(scheduler, distributed.Client):
        if scheduler.asynchronous:
            message = "`scheduler` is an asynchronous client."
            raise InvalidOptionError(message, "Make one by Client(address), or give the address.")
        with Cluster(scheduler) as cluster:
            yield cluster
        return
    if not isinstance(scheduler, str) or (scheduler != LOCAL and "://" not in scheduler):
        message = f"`scheduler` is {scheduler!r}."
        hint = 'Valid: the address of a scheduler ("tcp://host:8786"), a client, or "local".'
        raise InvalidOptionError(message, hint, option="scheduler")
    if scheduler == LOCAL:
        with _begun() as started, distributed.Client(started, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=BEGIN_SECONDS)
            with Cluster(client) as cluster:
                yield cluster
        return
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f'No scheduler answers at "{scheduler}".'
        hint = "Begin one by `dask scheduler`, or give the address that your cluster names."
        raise SchedulerError(message, hint, problem="unreachable") from error
    with client, Cluster(client) as cluster:
        yield cluster


def _begun() -> Any:
    """Begin a cluster on this machine: processes, one for each processor.

    They are none of multiprocessing, which runs the script of the user again.
    """
    from distributed.deploy.subprocess import SubprocessCluster

    try:
        with _environment_of_children():
            return SubprocessCluster(threads_per_worker=1, dashboard_address=None)
    except RuntimeError as error:
        message = f"The cluster of this machine did not begin: {error}."
        hint = "Begin one by `dask scheduler` and `dask worker`, and give its address."
        raise SchedulerError(message, hint, problem="local") from error


@contextmanager
def _environment_of_children() -> Iterator[None]:
    """Let processes find this very package while they begin, and none of R's libraries.

    R has a copy of the package of its own, and Python would load R's libraries in place of its own.
    """
    names = ("LD_LIBRARY_PATH", "PYTHONPATH")
    kept = {name: os.environ.get(name) for name in names}
    if "R_HOME" in os.environ:
        os.environ.pop("LD_LIBRARY_PATH", None)
    places = [str(Path(__file__).resolve().parents[3]), kept["PYTHONPATH"]]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
