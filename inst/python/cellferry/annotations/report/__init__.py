"""The report: annotations as one HTML file that needs no network and no server.

The template gets the annotations themselves and a few small values made here; everything
that users, engines and models wrote is escaped by the template's autoescape. The one script
(``viewer/``: map, pictures, filters, decisions) is allowed by its hash, so that no other can run;
it reads data that stand in the file, or come from the server that the page came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._version import __version__
from ...errors import OutputError, listing
from ...files import write_whole
from ..clusters import STATUSES
from ..diagnoses.attention import held_by
from ..palette import NO_LABEL_COLOURS, PALETTE, UNKNOWN_COLOURS
from .confidence import WIDTH as CONFIDENCE_WIDTH
from .confidence import draw_confidence
from .content import Cells, Content, Fitted, Live, Page, content_of_study, index_text
from .details import conversation_of, csv_base64, rounds_of
from .picture import HEIGHT, RARE, TEXT_SIZE, WIDTH, Embedding, draw, of_cells
from .texts import moment, number, ontology_url, parameters, plain_text, web_address, whole
from .viewer import script, script_hash, styles

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ..clusters import Annotations

__all__ = [
    "Cells",
    "Content",
    "Embedding",
    "Live",
    "check_report_file",
    "content_of_study",
    "render",
    "script_hash",
    "write_report",
]

REPORT_MB = 15.0
"""Megabytes that a file may have: values of genes, columns, then cells are left out above it."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src '{script}'; {connect}"
    "base-uri 'none'; form-action 'none'"
)
"""What the page may do, as a file; served, it may ask the server that it came from."""

MARKERS_OPEN = 10
"""Markers of a card that are always seen; the others are folded away."""

MARKER_COLUMNS: tuple[str, ...] = ("avg_log2FC", "pct.1", "pct.2", "p_val_adj", "Score")
"""Statistics of a card, in this order, where the marker table has them."""

CONFIDENCE_MEANING = {
    "calibrated": "calibrated on cells of known type: of labels at 0.9, nine in ten are right.",
    "stated": "stated by the model itself and not checked against cells of known type.",
    "graded": "graded from how much evidence there is; it is not a probability of being right.",
}


SUFFIXES = (".html", ".htm")
GENERATOR = '<meta name="generator" content="cellferry'
"""What is at the head of every report, and shows whose it is."""

_OTHER_NAME = "Choose another name, or pass `overwrite=True`."

MOST_GONE = 10
"""Names that are listed of clusters without cells."""


class MarkerTable(NamedTuple):
    """The markers of one cluster: names of the statistics, and rows of gene and texts."""

    statistics: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Labelled(NamedTuple):
    """How many cells got a label, of how many in clusters."""

    n: int
    total: int


def write_report(
    annotations: Annotations,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    embedding: Embedding | None = None,
    content: Content | None = None,
    report_mb: float = REPORT_MB,
    overwrite: bool = True,
) -> Path:
    """Write the report of an annotation as one self-contained HTML file.

    The same input gives the same bytes. The file appears whole or not at all.

    Parameters
    ----------
    annotations
        What is reported: a row and a card per cluster.
    path
        Where to; the folder must exist.
    title
        Heading; by default ``Cell types of`` and the name of the clusters' column.
    embedding
        Drawn with cells coloured by label, when given.
    content
        Cells to look at and figures of genes; None leaves a page of tables and cards.
    report_mb
        Megabytes that the data of the page may take; what is left out is said on it.
    overwrite
        Whether a file of that name is replaced; see also :func:`check_report_file`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        It cannot be written, or exists and may not be replaced.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> found = Annotations((Annotation("0", "ok", label="B cell"),))
    >>> write_report(found, getfixture("tmp_path") / "report.html").name
    'report.html'
    """
    try:
        target = Path(path).expanduser()
        file = target.resolve()
        exists = file.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if exists and not overwrite:
        message = f'The file "{target}" exists.'
        raise OutputError(message, _OTHER_NAME, path=str(target))
    page = render(
        annotations, title=title, embedding=embedding, content=content, report_mb=report_mb
    )
    try:
        # A lone surrogate is no text that UTF-8 can encode; one bad gene name must not
        # cost the whole report.
        write_whole(file, page.encode("utf-8", "replace"))
    except OSError as error:
        raise _cannot_write(path, error) from error
    return target


def check_report_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Check the file that somebody named for a report, before anything is written.

    A report that cellferry wrote is replaced without a question, as is an empty file.

    Parameters
    ----------
    path
        Its name must be that of an HTML file.
    overwrite
        Whether any other file may be replaced.

    Raises
    ------
    OutputError

    Examples
    --------
    >>> check_report_file("report.pdf")
    Traceback (most recent call last):
    cellferry.errors.OutputError: The report is one HTML file, and "report.pdf" is a .pdf.
    Name it "report.html"; a browser prints that as PDF.
    """
    try:
        target = Path(path).expanduser()
        replaced = target.is_file() and not overwrite and not _is_report(target)
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if target.suffix.lower() not in SUFFIXES:
        kind = f"is a {target.suffix}" if target.suffix else "has no suffix"
        message = f'The report is one HTML file, and "{target}" {kind}.'
        named = f"{target.stem or 'report'}.html"
        raise OutputError(message, f'Name it "{named}"; a browser prints that as PDF.')
    if replaced:
        message = f'The file "{target}" exists and is no report of cellferry.'
        raise OutputError(message, _OTHER_NAME, path=str(target))


def _is_report(file: Path) -> bool:
    """Whether a file is a report that cellferry wrote, or has nothing in it."""
    with file.open("rb") as content:
        head = content.read(2000)
    return not head or GENERATOR.encode() in head


def render(
    annotations: Annotations,
    *,
    title: str | None = None,
    embedding: Embedding | None = None,
    tags: Mapping[str, str] | None = None,
    content: Content | None = None,
    live: Live | None = None,
    index: Mapping[str, Any] | None = None,
    report_mb: float = REPORT_MB,
) -> str:
    """Return the report as text; see :func:`write_report`.

    Parameters
    ----------
    live
        Where a page that is served finds its data; None puts them into the page.
    index
        Of a page that is served, what :func:`~.content.refreshed` made: nothing of the cells is
        looked at again, and ``content`` is not needed.
    tags
        What the user said of the study, shown with it; web addresses become links.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("cellferry.annotations.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        whole=whole,
        ontology_url=ontology_url,
        plain=plain_text,
        web_address=web_address,
    )
    provenance = annotations.provenance
    kinds = dict.fromkeys(row.confidence_kind for row in annotations if row.confidence_kind)
    names = [row.cluster for row in annotations]
    picture = None if embedding is None else draw(annotations, embedding)
    heading = title or _title(annotations)
    blocks: Mapping[str, str] = {}
    if live is None:
        fitted = Fitted(annotations, content or Content(), heading, report_mb * 1_000_000)
        found, blocks = fitted.page.index(), fitted.blocks
    elif index is None:
        found = Page(annotations, content or Content(), title=heading, live=live).index()
    else:
        found = {**index, "title": heading, "live": vars(live)}
    # The only character that ends a script is written so that it does not.
    in_script = index_text(found).replace("<", "\\u003c")
    return environment.get_template("template.html").render(
        # Our own file and no user's text, hence not escaped.
        script=Markup(script()),
        policy=policy(live=live is not None),
        viewer_styles=Markup(styles()),
        index=Markup(in_script),
        blocks={name: Markup(text) for name, text in blocks.items()},
        csv=csv_base64(annotations),
        rounds={name: rounds_of(annotations, name) for name in names},
        conversations={name: conversation_of(annotations, name) for name in names},
        sureness=draw_confidence(annotations),
        sureness_width=CONFIDENCE_WIDTH,
        title=heading,
        noun="label" if of_cells(annotations) else "cluster",
        gone=_gone(annotations),
        diagnoses=annotations.evidence.get("diagnoses", ()),
        held={row.cluster: held_by(annotations, row.cluster) for row in annotations},
        noted=annotations.provenance.get("note"),
        rare=100 * RARE,
        annotations=annotations,
        provenance=provenance,
        models=list(dict.fromkeys(row.model for row in annotations if row.model)),
        tags=dict(tags or {}),
        expression={row.cluster: expression_table(annotations, row.cluster) for row in annotations},
        made=moment(provenance.get("created")),
        parameters=list(parameters(provenance)),
        counts=_counts(annotations),
        labelled=labelled_cells(annotations),
        meanings=[CONFIDENCE_MEANING[kind] for kind in kinds],
        markers={row.cluster: marker_table(annotations, row.cluster) for row in annotations},
        markers_open=MARKERS_OPEN,
        picture=picture,
        palette=PALETTE if picture is None else picture.palette,
        unknown=UNKNOWN_COLOURS,
        unlabelled=NO_LABEL_COLOURS,
        area={"width": WIDTH, "height": HEIGHT, "text": TEXT_SIZE},
        version=__version__,
    )


def policy(*, live: bool = False) -> str:
    """Return what the page may do, for its head and for the header it is served with.

    Parameters
    ----------
    live
        Whether it asks the server that it came from for its data.
    """
    connect = "connect-src 'self'; " if live else ""
    return POLICY.format(script=script_hash(), connect=connect)


def _title(annotations: Annotations) -> str:
    if of_cells(annotations):
        return "Cell types of single cells"
    group = annotations.provenance.get("group_key")
    return f"Cell types of {group}" if group else "Cell types"


def _counts(annotations: Annotations) -> dict[str, int]:
    """Return status -> clusters; where cells were annotated, cells."""
    if of_cells(annotations):
        counts = dict.fromkeys(STATUSES, 0)
        for row in annotations:
            counts[row.status] += row.n_cells or 0
        unlabelled = annotations.evidence.get("cells", {})
        return counts | {s: int(unlabelled.get(s, 0)) for s in ("failed", "skipped")}
    return {s: sum(row.status == s for row in annotations) for s in STATUSES}


def _gone(annotations: Annotations) -> str:
    """Return the clusters that have no cells, as after a subset; nothing if all have some."""
    # Of a table alone no cell is known.
    gone = [row.cluster for row in annotations if row.n_cells == 0 and row.status != "skipped"]
    return listing(gone, MOST_GONE) if gone else ""


def labelled_cells(annotations: Annotations) -> Labelled | None:
    """Return the cells in clusters with a known label; None where no size is known."""
    if of_cells(annotations):
        counts = _counts(annotations)
        return Labelled(counts["ok"], sum(counts.values()))
    sizes = [(row.status, row.n_cells) for row in annotations if row.n_cells is not None]
    if not sizes:
        return None
    return Labelled(sum(n for status, n in sizes if status == "ok"), sum(n for _, n in sizes))


def marker_table(annotations: Annotations, cluster: str) -> MarkerTable | None:
    """Return the markers of one cluster as text, or None where there are none."""
    columns = annotations.markers
    if "cluster" not in columns or "gene" not in columns:
        return None
    statistics = tuple(name for name in MARKER_COLUMNS if name in columns)
    of_rows = zip(columns["gene"], *(columns[name] for name in statistics), strict=True)
    rows = tuple(
        (str(gene), *(number(value) for value in values))
        for name, (gene, *values) in zip(columns["cluster"], of_rows, strict=True)
        if str(name) == cluster
    )
    return MarkerTable(statistics, rows) if rows else None


EXPRESSION_COLUMNS: dict[str, str] = {
    "percent": "% of cells",
    "percentElsewhere": "% elsewhere",
    "mean": "mean",
    "meanElsewhere": "mean elsewhere",
}
"""What was looked up in the data for a gene -> its name in the report."""


def expression_table(annotations: Annotations, cluster: str) -> MarkerTable | None:
    """Return what was looked up in the data for a cluster's genes, or None."""
    evidence = annotations.evidence.get(cluster)
    looked_up = evidence.get("expression") if isinstance(evidence, dict) else None
    genes = looked_up["genes"] if looked_up else []
    names = [name for name in EXPRESSION_COLUMNS if any(name in gene for gene in genes)]
    rows = tuple((str(g["gene"]), *(number(g.get(name)) for name in names)) for g in genes)
    return MarkerTable(tuple(EXPRESSION_COLUMNS[name] for name in names), rows) if rows else None


def _cannot_write(path: str | os.PathLike[str], error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or error
    message = f'The report "{path}" cannot be written: {reason}.'
    hint = "Choose a file name in a folder that exists and that you may write to."
    return OutputError(message, hint, path=str(path))
