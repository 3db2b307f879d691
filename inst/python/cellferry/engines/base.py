"""What every engine is: its capabilities, its plan and its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

from ..errors import counted
from ..files import Json

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..errors import CellferryWarning
    from ..runs.run import Run
    from ..runs.worker import Events
    from ..study.build import Reading
    from ..study.markers.table import Markers
    from ..study.study import Study


@dataclass(frozen=True)
class Capabilities:
    """What an engine answers, needs, and sends off the machine.

    Attributes
    ----------
    answers
        ``"clusters"``, ``"cells"`` or both.
    needs
        Parts of a study it cannot do without, for example ``"markers"``.
    uses
        Parts it reads when they are there.
    genes
        For a use of ``"normalized"``: the only genes it reads, or None for all. It lets
        R send those rows and not the whole matrix.
    sends
        What leaves the machine: any of ``"markers"``, ``"expression"``, ``"metadata"``.
    host
        Where to, or None when nothing leaves the machine.
    reading
        How an AnnData is to be read for it, or None for the usual way.
    one_of
        Parts of ``uses`` of which one is read: the first that the object has. The others need
        not be brought.
    companions
        What the service is said to offer beside annotation, by name; see :class:`Companion`.
    from_file
        Whether values are to stay in their file, from which blocks, or workers, are read.
    """

    answers: frozenset[str] = frozenset({"clusters"})
    needs: frozenset[str] = frozenset({"markers"})
    uses: frozenset[str] = frozenset()
    genes: tuple[str, ...] | None = None
    sends: frozenset[str] = frozenset()
    host: str | None = None
    reading: Reading | None = None
    one_of: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    from_file: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run would do, found without a call: the dry run.

    ``cost_usd`` is None where no price is known; 0 where nothing is paid. ``columns`` are the
    metadata columns that would be sent.
    """

    engine: str
    clusters: int
    calls: int = 0
    bytes_sent: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    cells: int = 0
    """Of an engine that answers cells; 0 for one that answers clusters."""

    def __str__(self) -> str:
        """Return the plan in words.

        Examples
        --------
        >>> print(Plan("local", 9))
        local: 9 clusters, 0 calls, 0 bytes sent, cost $0.00
        """
        tokens = ""
        if self.input_tokens or self.output_tokens:
            tokens = f", about {self.input_tokens:,} tokens in and {self.output_tokens:,} out"
        cost = "unknown" if self.cost_usd is None else f"${self.cost_usd:.2f}"
        units = counted(self.cells, "cell") if self.cells else counted(self.clusters, "cluster")
        sent = f"{counted(self.calls, 'call')}, {counted(self.bytes_sent, 'byte')} sent"
        first = f"{self.engine}: {units}, {sent}{tokens}, cost {cost}"
        return "\n".join([first, *(note for note in self.notes if self.calls)])


Payload = dict[str, dict[str, Json]]
"""What the journal keeps of a cluster: ``"annotation"``, its row, and ``"evidence"``."""

Answer_co = TypeVar("Answer_co", covariant=True)
"""What an engine returns: Annotations of clusters, or CellAnnotations."""


@runtime_checkable
class Engine(Protocol[Answer_co]):
    """What :func:`cellferry.annotate.verb.annotate` needs of an engine, whatever it answers.

    ``Engine[Annotations]`` answers clusters, ``Engine[CellAnnotations]`` cells.
    """

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What it answers, needs and sends."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Return its options as plain data for the record of the run; never a secret."""
        ...

    def plan(self, study: Study) -> Plan:
        """Say what a run would cost, without a call."""
        ...

    def run(self, study: Study, run: Run, events: Events) -> Answer_co:
        """Answer every cluster of the study, or every cell, in its order.

        Called in a worker thread. Finished units go to ``run.record`` and are not done
        again when ``run.finished`` has them; ``events.check()`` between units lets the
        user stop it.

        Parameters
        ----------
        study
            What is annotated.
        run
            Its record and journal.
        events
            Where progress goes, and where an interrupt comes from.
        """
        ...


AnyEngine: TypeAlias = "Engine[Annotations | CellAnnotations]"
"""An engine of either level."""

USUAL_SPARSITY = 10
"""One value in so many is stored, where that is not known without reading."""


@dataclass(frozen=True)
class Extent:
    """How large an object is, known before any of it is read.

    Attributes
    ----------
    columns
        Names of its metadata.
    """

    cells: int
    genes: int
    columns: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        """About how many values are stored."""
        return self.cells * self.genes // USUAL_SPARSITY


@runtime_checkable
class Estimates(Protocol):
    """An engine that says what it would send of an object that was not read yet."""

    def estimate(self, extent: Extent) -> Plan:
        """Return the plan as far as it depends on the extent."""
        ...


@dataclass(frozen=True)
class Understood:
    """What an engine makes of what the user says of the sample, found before it runs.

    Attributes
    ----------
    lines
        What is understood, in words for the user.
    problems
        What is not, with what is valid.
    record
        The same as plain data, for the provenance.
    """

    lines: tuple[str, ...] = ()
    problems: tuple[CellferryWarning, ...] = ()
    record: Mapping[str, Json] = field(default_factory=dict)


@runtime_checkable
class ReadsContext(Protocol):
    """An engine that looks words for tissue and species up; others pass them on as written."""

    def understand(self, study: Study) -> Understood:
        """Return what it makes of the context of the study."""
        ...


@runtime_checkable
class Companion(Protocol):
    """An engine of cells that also exports the markers of labels and embeds cells.

    Both are called in a worker thread, with a run that keeps the answers of a service.
    """

    def marker_genes(self, study: Study, run: Run, events: Events) -> Markers:
        """Return the marker genes of each label: of each cluster of the study."""
        ...

    def embedding(self, study: Study, run: Run, events: Events) -> NDArray[np.float32]:
        """Return numbers of each cell, cells x dimensions, in the study's order."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """An engine with more to check before its first call than a plan shows: keys, paths."""

    def prepare(self) -> None:
        """Raise what would otherwise be found out after something was paid."""
        ...


def as_remark(label: str | None, said: str) -> str:
    """Return a remark as the model reads it, with the answer that it is about.

    Examples
    --------
    >>> as_remark("B cell", "Sorted for plasma cells.")
    'Earlier answer: "B cell". Sorted for plasma cells.'
    """
    return f'Earlier answer: "{label or "none"}". {said.strip()}'


@runtime_checkable
class TakesRemarks(Protocol):
    """An engine that can ask one cluster again, with what a person remarks."""

    def with_remark(
        self, cluster: str, remark: str, *, label: str | None, evidence: bool
    ) -> AnyEngine:
        """Return the engine that asks this cluster again, and no other.

        Parameters
        ----------
        cluster
            Its name.
        remark
            What the person says.
        label
            What the cluster was called.
        evidence
            Whether figures can be looked up this time.
        """
        ...


@runtime_checkable
class WritesFiles(Protocol):
    """An engine that leaves files of its own beside the annotations."""

    @property
    def folder(self) -> Path | None:
        """Where its run is kept; None is the usual place."""
        ...

    @property
    def files(self) -> list[Path]:
        """What it writes."""
        ...

    def write_files(self, found: Annotations, study: Study, run: Run) -> None:
        """Write them once the answer is complete."""
        ...
