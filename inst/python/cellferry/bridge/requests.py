"""An annotation that R asks for, checked once: before anything is read, and before any cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..annotate import verb
from ..annotate.checks import check_consent
from ..annotate.within import Earlier, check_within
from ..annotations import delivery
from ..annotations.clusters import Annotations
from ..annotations.labelling.edited import check_unedited
from ..annotations.labelling.labels import Labels
from ..annotations.labelling.objects import with_others
from ..engines import create_engine
from ..engines.base import AnyEngine, Estimates, Extent, Plan, Prepares
from ..engines.service.secrets import wrapped
from ..errors import AnnotationsFormatError
from ..runs.run import Run
from . import wire
from .handles import keep
from .wire import Message

if TYPE_CHECKING:
    from ..annotations.delivery import Level
    from ..annotations.merging.merge import Merged
    from ..annotations.merging.sources import Source

logger = logging.getLogger("cellferry")


@dataclass(frozen=True)
class Request:
    """What R asks for, after the checks.

    Attributes
    ----------
    key
        Name of the label column.
    run
        The run to go on with, if it is not a new one.
    parameters
        The arguments of the call, for the record.
    previous
        What the object has under the key, if anything.
    levels
        Whether the broader labels are written too.
    earlier
        The labels of the object within whose clusters it is annotated, if it is.
    """

    engine: AnyEngine
    level: Level
    key: str
    run: Run | None = None
    parameters: Message = field(default_factory=dict)
    previous: Labels | None = None
    levels: bool = False
    earlier: Earlier | None = None

    @property
    def parts(self) -> frozenset[str]:
        """What the engine reads of the object: nothing where the answer is on disk already."""
        capabilities = self.engine.capabilities
        return frozenset() if is_finished(self.run) else capabilities.needs | capabilities.uses

    def provenance(self, sent: Message) -> Message:
        """Return what the annotations remember of the request and of the study that R sent."""
        return {
            "key": self.key,
            "object": sent.get("object"),
            # The summary of cells has one row per label.
            "group_column": self.key if self.level == "cells" else sent.get("group_column"),
            "parameters": self.parameters,
            **({"levels": True} if self.levels else {}),
            **({"absent_cells": len(sent["absent"]["cells"])} if sent.get("absent") else {}),
        }


def open_request(
    message: Message, engine: AnyEngine | None = None, *, prepare: bool = True
) -> Message:
    """Check a request and keep it; return its handle and what the engine reads.

    Parameters
    ----------
    message
        The request as R sends it, with what the object has that new columns could collide with.
    engine
        The engine, where R is not the one who chose it.
    prepare
        Whether keys and paths are checked too.

    Raises
    ------
    UnknownEngineError, UnknownOptionError, InvalidOptionError
        There is no such engine, or it has no such options.
    UploadNotAllowedError, CredentialsRequiredError, OutputError
        It would send data and may not, or lacks what it needs to begin.
    InvalidKeyError, ColumnExistsError
        The labels cannot be written under the key.
    RunNotFoundError, RunDamagedError
    """
    run = None if message.get("run") is None else Run.open(message["run"])
    if engine is None:
        engine = engine_of(message, run)
    # Neither a dry run nor the answer of a finished run takes a call, nor consent or a key.
    if not is_finished(run) and not message.get("dry_run"):
        allowed = bool(message.get("allow_upload"))
        if run is not None:
            allowed = verb.is_allowed(run, engine, allow_upload=allowed)
        check_consent(engine, plan_unread(engine, message), allow_upload=allowed)
        if prepare and isinstance(engine, Prepares):
            engine.prepare()
    parameters = message.get("parameters") or {}
    delivery.check_group_key(message["key"], parameters.get("group.by"), level_of(message))
    previous = previous_labels(message)
    replaced = _replaced(message, previous)
    earlier = earlier_labels(message)
    if earlier is not None:
        check_within(earlier[0].key, parameters.get("group.by"))
    # Of a run that is gone on with there are their decisions only.
    others = previous_labels(message.get("within_of_run") or {}) if earlier is None else earlier[1]
    if others is not None and others.key != message["key"]:
        previous = with_others(previous, others)
    if replaced:
        logger.info("Replacing the columns %s.", ", ".join(replaced))
    request = Request(
        engine,
        level_of(message),
        message["key"],
        run,
        parameters,
        previous,
        levels=bool(message.get("levels")),
        earlier=None if earlier is None else earlier[0],
    )
    return {
        "handle": keep(request),
        "needs": sorted(request.parts & engine.capabilities.needs),
        "uses": sorted(request.parts & engine.capabilities.uses),
        "columns": delivery.column_names(request.key, request.level),
    }


def is_finished(run: Run | None) -> bool:
    """Whether there is a run, and its answer is on disk."""
    return run is not None and run.content["status"] == "finished"


def level_of(message: Message) -> Level:
    """Return what R asks for: clusters or cells."""
    return "cells" if message.get("level") == "cells" else "clusters"


def engine_of(message: Message, run: Run | None = None) -> AnyEngine:
    """Return the engine that R asks for; with a run, the one of that run.

    Parameters
    ----------
    message
        The request, with the name and options of the engine.
    run
        The run to go on with; None for a new one.
    """
    options = wrapped(message["engine"]["options"])
    # What was sent is shown by a traceback too.
    message["engine"]["options"] = options
    if run is not None:
        return verb.engine_of(run, options)
    return create_engine(message["engine"]["name"], options, level_of(message))


def plan_unread(engine: AnyEngine, message: Message) -> Plan | None:
    """Return what would be sent of an object of which only the extent is known.

    Parameters
    ----------
    engine
        Only one that estimates has a plan.
    message
        The request; ``extent`` has the numbers of cells and genes.
    """
    extent = message.get("extent")
    if extent is None or not isinstance(engine, Estimates):
        return None
    columns = tuple(message.get("existing") or ())
    return engine.estimate(Extent(int(extent["cells"]), int(extent["genes"]), columns))


def _replaced(message: Message, previous: Labels | None) -> list[str]:
    key = message["key"]
    if previous is not None:
        check_unedited(previous, overwrite=bool(message.get("overwrite")))
    return delivery.check_key(
        key,
        message.get("existing") or [],
        delivery.owned_columns((message.get("stored") or {}).get(key)),
        overwrite=bool(message.get("overwrite")),
        reserved=message.get("reserved"),
        level=level_of(message),
        unrecorded=bool(message.get("unrecorded")),
        levels=bool(message.get("levels")),
    )


def merged_parts(message: Message) -> Merged:
    """Put the annotated parts that R sends into the object.

    Parameters
    ----------
    message
        ``whole`` and ``parts``: of each ``name``, ``cells``, a ``frame`` with the columns of all
        keys and of the clusters, and ``stored``, or its ``path``; ``ids``, ``key``, and
        ``reserved`` names.
    """
    from ..annotations.merging.merge import merge

    return merge(
        merged_source(message["whole"]),
        [merged_source(part) for part in message["parts"]],
        ids=message.get("ids"),
        key=message.get("key"),
        reserved=message.get("reserved"),
    )


def merged_source(sent: Message) -> Source:
    """Return what merging reads of an object that R sends, or of a path.

    Parameters
    ----------
    sent
        As :func:`merged_parts` has it.
    """
    from ..annotate.merging import source_of
    from ..annotations.merging.sources import Source

    name = str(sent.get("name") or "")
    if sent.get("path") is not None:
        return source_of(name, str(sent["path"]))
    frame, stored = wire.frame_from_wire(sent["frame"]), sent.get("stored") or {}
    return Source(name, tuple(sent["cells"]), frame, stored)


def earlier_labels(message: Message) -> tuple[Earlier, Labels | None] | None:
    """Return the labels within which R annotates, and what their record says; None without.

    Parameters
    ----------
    message
        ``within``: the ``key``, as :func:`previous_labels` has it, with its column in the frame.
    """
    sent = message.get("within")
    if sent is None:
        return None
    labels = previous_labels(sent)
    cells = tuple(sent["labelled"]["cells"])
    obs = wire.frame_from_wire(sent["labelled"]["frame"]) if labels is None else labels.obs
    return Earlier.of(str(sent["key"]), cells, obs, labels), labels


def previous_labels(message: Message) -> Labels | None:
    """Return what the object of R has under the key; None without a record that can be read.

    Parameters
    ----------
    message
        ``key``, ``stored``, and ``labelled``: the names of ``cells`` and a ``frame`` with the
        columns of the key and of the clusters.
    """
    sent, key = message.get("labelled"), message.get("key")
    text = (message.get("stored") or {}).get(key)
    if sent is None or key is None or text is None:
        return None
    try:
        record = Annotations.from_json(text)
    except AnnotationsFormatError:
        return None
    return Labels(tuple(sent["cells"]), wire.frame_from_wire(sent["frame"]), str(key), record)
