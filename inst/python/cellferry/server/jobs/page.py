"""The live page of a finished job: its index and blocks, from artifacts that a helper reads."""

from __future__ import annotations

import base64
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.report import Content, Live
from ...annotations.report.blocks import coded_means, names_block, summary_block
from ...annotations.report.content import Page, terms_block
from ...annotations.report.relations import relations_of
from ...study.expression.gene_summary import GeneSummary
from ..comparing import Comparison, answer_of
from ..failures import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...annotations.clusters import Annotations
    from ..lookup.process import Readers
    from .payload import JobInput

SPAN = (1e-4, 1e5)
"""Means that the page tells apart: they are known before the genes are read."""
MOST_PAGES = 8
"""Jobs whose figures of genes are remembered at once."""
BLOCK = re.compile(r"(coordinates|column|gene)/([0-9]{1,7})")


@dataclass(frozen=True)
class JobFiles:
    """What is read of the artifacts of a job.

    Attributes
    ----------
    obs_path, vars_path
        The files; vars.h5 may be absent.
    column, labels
        Where the clusters are, and their values in the order of the rows.
    """

    obs_path: str
    vars_path: str | None
    column: str
    labels: tuple[str, ...]

    @property
    def arguments(self) -> dict[str, Any]:
        """Return them as a helper takes them."""
        return {**vars(self), "labels": list(self.labels)}


@dataclass
class JobPages:
    """Pages of jobs.

    Parameters
    ----------
    readers
        The processes that read files of clients.
    """

    readers: Readers
    _figures: OrderedDict[JobFiles, bytes] = field(default_factory=OrderedDict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def files(self, job: JobInput, paths: Mapping[str, str]) -> JobFiles | None:
        """Return what can be read of the artifacts of a job; None where there is no page of cells.

        Parameters
        ----------
        job
            What was submitted.
        paths
            Kind -> file.
        """
        if "obs_duckdb" not in paths:
            return None
        labels = tuple(job.labels.values())
        try:
            found = self.readers.call("group_column", path=paths["obs_duckdb"], labels=list(labels))
        except Failure:
            return None
        if found is None or len(set(labels)) < len(labels):
            return None
        return JobFiles(paths["obs_duckdb"], paths.get("vars_h5"), found["column"], labels)

    def index(self, found: Annotations, files: JobFiles, live: Live) -> dict[str, Any]:
        """Return the index of the page of a job.

        Parameters
        ----------
        found
            Its answers with the labels in force, a row for each of the labels.
        files
            Its artifacts.
        live
            Where the page finds its data.

        Raises
        ------
        Failure
            A file is refused.
        """
        index = Page(found, Content(), live=live).index()
        cells = self.readers.call("page_cells", **files.arguments)
        sizes = cells.pop("sizes")
        index["cells"] = {**cells, "all": True, "hash": None}
        index["n_cells"], index["places"] = cells["n"], None
        if files.vars_path is not None:
            names = self.readers.call("page_genes", vars_path=files.vars_path)["names"]
            index["genes"] = {
                "n": len(names), "sizes": sizes, "values": [], "histograms": [], "tops": [],
                "aliases": {}, "least": SPAN[0], "most": SPAN[1],
            }  # fmt: skip
        return {**index, "relations": relations_of(index)}

    def block(self, files: JobFiles, name: str) -> bytes:
        """Return a block of the page of a job.

        Parameters
        ----------
        files
            Its artifacts.
        name
            As the page asks for it.

        Raises
        ------
        Failure
            There is none of that name, or a file is refused.
        """
        if name == "terms":
            return terms_block()
        if name == "genes" and files.vars_path is not None:
            return names_block(self.readers.call("page_genes", vars_path=files.vars_path)["names"])
        if name == "summary" and files.vars_path is not None:
            return self._summary(files)
        match = BLOCK.fullmatch(name)
        if match is None and name != "clusters":
            raise Failure(Code.NOT_FOUND, "This job does not have it.")
        kind, number = ("clusters", 0) if match is None else (match[1], int(match[2]))
        found = self.readers.call("page_block", kind=kind, number=number, **files.arguments)
        return base64.b64decode(found)

    def compare(self, files: JobFiles, asked: Comparison) -> dict[str, Any]:
        """Return the genes by which two sets of cells of a job differ most, tested.

        Parameters
        ----------
        files
            Its artifacts.
        asked
            Two sets of cells.

        Raises
        ------
        Failure
            There is no expression, a side is none, or a file is refused.
        """
        if files.vars_path is None:
            raise Failure(Code.NO_EXPRESSION, "The job was submitted without values of genes.")
        sent, start, n_genes = asked.model_dump(), 0, 1
        figures: dict[str, list[Any]] = {}
        sizes = [0, 0]
        while start < n_genes:
            part = self.readers.call("page_compare", asked=sent, start=start, **files.arguments)
            for name, values in part["figures"].items():
                figures.setdefault(name, []).extend(values)
            start, n_genes, sizes = int(part["stop"]), int(part["n_genes"]), part["sizes"]
        # Each run has corrected for its own genes only.
        figures["p_adj"] = [min(1.0, p * n_genes) for p in figures["p"]]
        return answer_of(figures, (sizes[0], sizes[1]))

    def _summary(self, files: JobFiles) -> bytes:
        """Return the figures of all genes, read once and remembered."""
        with self._mutex:
            if files not in self._figures:
                self._figures[files] = self._read(files)
            self._figures.move_to_end(files)
            while len(self._figures) > MOST_PAGES:
                self._figures.popitem(last=False)
            return self._figures[files]

    def _read(self, files: JobFiles) -> bytes:
        names = self.readers.call("page_genes", vars_path=files.vars_path)["names"]
        sizes = self.readers.call("page_cells", **files.arguments)["sizes"]
        positive, sums, start = [], [], 0
        while start < len(names):
            part = self.readers.call("page_sums", start=start, **files.arguments)
            positive.append(np.frombuffer(base64.b64decode(part["positive"]), "<i8"))
            sums.append(np.frombuffer(base64.b64decode(part["sums"]), "<f8"))
            start = int(part["stop"])
        shape = (len(names), len(files.labels))
        n = np.array(sizes, dtype=np.int64)
        empty = [np.zeros(0)]
        means = np.concatenate(sums or empty).reshape(shape) / np.maximum(n, 1)
        cells = np.concatenate(positive or empty).reshape(shape).astype(np.int64)
        summary = GeneSummary(tuple(names), files.labels, n, cells, means)
        return summary_block(summary, coded_means(means, SPAN))
