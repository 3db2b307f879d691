"""How text of people, models and services is read: labels, ids, tokens, genes, confidence.

The one normaliser of all engines. What is compared loses case and punctuation; what is shown
(:func:`plain_label`) loses only what is no part of a name.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable

_INSIDE = re.compile(r"(?<![A-Za-z0-9])CL(?::|_|%3A|%5F)(\d{7})(?!\d)", re.IGNORECASE)

_REGISTRIES = ("obolibrary.org", "ebi.ac.uk", "ontobee.org", "identifiers.org", "bioregistry.io")
"""Hosts whose addresses stand for a term."""

_SURE = {"high": 0.9, "certain": 0.9, "confident": 0.9, "moderate": 0.6, "medium": 0.6, "low": 0.3}
"""Word of a confidence -> what it is taken for."""

_DEED = (
    "determin|identif|assign|classif|annotat|resolv|answer|tell|say|decid|infer|nam|label|establish"
    "|conclu|specif|provid|help|assist|comply|do that|do this|be sure|be certain"
)
_UNCLEAR = (
    "assigned|classified|determined|identified|defined|specified|resolved|annotated|labell?ed"
    "|recogni[sz]ed|known|clear|certain|determinable"
)
_SAYS_UNKNOWN = re.compile(
    rf"""
    (?:the[ ])?(?:(?:cell[ ])?(?:type|identity|label)s?[ ](?:(?:is|are|remains?)[ ])?)?
        (?:un(?:{_UNCLEAR})|indeterminate|inconclusive|ambiguous)
        (?:[ ](?:cells?|types?|population|cluster|identity|lineage|label))*
    | n/?a | nan | null | none | nil | unk | tbd | others? | -* | \?* | \.*
    | not[ ](?:available|applicable)
    | not[ ](?:yet[ ]|clearly[ ]|confidently[ ])?(?:{_UNCLEAR}|sure|{_DEED})\w*
        (?:[ ](?:cells?|types?))*
    | not[ ](?:enough|sufficient|possible)[ ].*
    | no[ ](?:answer|label|match|call)
    | no[ ](?:(?:clear|specific|single|definite|confident|known|matching)[ ])*
        (?:cell[ ]types?|identity|annotation|lineage|consensus|conclusion)(?:[ ].*)?
    | (?:insufficient|too[ ]few|too[ ]little|lack[ ]of)[ ].*
    | .*\b(?:can[ ]?not|can't|could[ ]not|couldn't
        |(?:unable|impossible|not[ ]possible|not[ ]able)[ ]to)
        (?:[ ]\w+ly)?(?:[ ]be)?(?:[ ]\w+ly)?[ ](?:{_DEED}).*
    | (?:hard|difficult)[ ]to[ ](?:{_DEED}).*
    | (?:i[ ]am|i'm)[ ](?:very[ ]|so[ ])?(?:sorry|not[ ]sure|not[ ]certain|unable|afraid)\b.*
    | (?:sorry|as[ ]an[ ]ai)\b.*
    | i[ ](?:do[ ]not|don't)[ ]know\b.*
    | i[ ](?:can[ ]?not|can't|won't|will[ ]not)\b.*
    """,
    re.VERBOSE,
)
_PREFIX = re.compile(
    r"(?:final |main |predicted |most likely )*(?:cell[ _-]?type|type|label|answer)\s*[:=]\s*"
    r"(?=\S)",
    re.IGNORECASE,
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"


_WITHOUT = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z]*\d[A-Za-z0-9]*|Ig[ADEGM])[-\u2212\u207b\u2013](?=[\s,;/)]|$|[+-]|CD\d)",
    re.IGNORECASE,
)
"""A surface marker that a cell does not have, such as ``CD16-``: here the hyphen is a minus."""


def normalized(text: str) -> str:
    """Return a label without case, hyphens, underscores and superfluous spaces.

    The minus behind a surface marker stays: cells without CD16 are no cells with it.

    Examples
    --------
    >>> normalized(" T-cell "), normalized("CD16- monocyte") == normalized("CD16 monocyte")
    ('t cell', False)
    """
    signed = _WITHOUT.sub("\\1\u2212", text.replace("\u207a", "+"))
    return re.sub(r"[\s_-]+", " ", signed).strip().casefold()


def singular(text: str) -> str:
    """Return a normalized label with its last word in the singular.

    Examples
    --------
    >>> singular("dendritic cells"), singular("microglia")
    ('dendritic cell', 'microglia')
    """
    for plural, ending in (("ies", "y"), ("sses", "ss"), ("s", "")):
        is_plural = text.endswith(plural) and not text.endswith(("ss", "us", "is"))
        if is_plural and len(text) > len(plural):
            return text.removesuffix(plural) + ending
    return text


def plain_label(text: str) -> str:
    """Return a label as one line, without Markdown, quotes, marks of a list or an id behind it.

    Examples
    --------
    >>> plain_label("**T cells**"), plain_label("B cell\\n(very likely)")
    ('T cells', 'B cell (very likely)')
    >>> plain_label("- `CD8+ T cell` (CL:0000625)."), plain_label("Cell type: NK cell")
    ('CD8+ T cell', 'NK cell')
    """
    before, label = None, text
    while label != before:
        before, label = label, _plainer(label)
    return label


def _plainer(label: str) -> str:
    label = html.unescape(label).translate(_INVISIBLE)
    label = re.sub(r"(?i)</?(?:b|i|u|em|strong|sup|sub|code|br|p)\s*/?>", " ", label)
    label = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", label)
    label = re.sub(r"\\([\\_*+#()\[\]/-])", r"\1", label)
    label = re.sub(r"\*{1,3}(?=\S)([^*]*[^*\s])\*{1,3}", r"\1", label)
    label = re.sub(r"(?<!\w)_{1,3}(?=\S)([^_]*[^_\s])_{1,3}(?!\w)", r"\1", label)
    label = " ".join(label.replace("`", "").split())
    label = re.sub(r"^(?:#{1,6} |> |[-*\u2022\u2013] |\d{1,2}[.)] )+", "", label)
    label = label[m.end() :] if (m := _PREFIX.match(label)) else label
    rest = re.sub(r"[\s,;:(\[{-]*(?:obo:)?CL[:_]\d{7}\b[\s)\]}]*$", "", label, flags=re.IGNORECASE)
    label = rest or label
    if len(label) > 2 and label[0] in _QUOTES and label[-1] in _QUOTES:
        label = label[1:-1]
    return label.strip().rstrip(".,;:").strip() or label.strip()


def says_unknown(label: str) -> bool:
    """Whether a label says that the cell type is not known, or is a refusal and no label.

    Examples
    --------
    >>> says_unknown(" Unassigned"), says_unknown("T cell")
    (True, False)
    >>> says_unknown("Cannot be determined."), says_unknown("I'm sorry, I can't help with that")
    (True, True)
    """
    plain = normalized(plain_label(label).replace("\u2019", "'"))
    # What stands behind it explains it: "Unknown (low quality)", "Unknown: few markers".
    first = re.split(r"\s*(?:[(\[;:,.!]|/| or | \u2013 | \u2014 )", plain, maxsplit=1)[0]
    return any(_SAYS_UNKNOWN.fullmatch(t) for t in (plain, first) if t or not plain)


def ontology_id(text: str) -> str | None:
    """Return the id of the Cell Ontology that a text is, None if it is none.

    Its address in a registry of ontologies, and an id with its label, are the id; a text with
    two ids is none.

    Examples
    --------
    >>> [ontology_id(t) for t in ("CL:0000236", " cl_0000236", "B cell")]
    ['CL:0000236', 'CL:0000236', None]
    >>> ontology_id("http://purl.obolibrary.org/obo/CL_0000236"), ontology_id("CL:0000236 (B cell)")
    ('CL:0000236', 'CL:0000236')
    """
    address = re.search(r"://([^/\s]+)", text)
    if address is not None and not address[1].endswith(_REGISTRIES):
        return None
    found = set(_INSIDE.findall(text))
    return f"CL:{found.pop()}" if len(found) == 1 else None


def ontology_id_in(text: str) -> str | None:
    """Return the first id of the Cell Ontology in a text, None if there is none.

    Examples
    --------
    >>> ontology_id_in("B_CELLS (CL_0000236)")
    'CL:0000236'
    """
    match = _INSIDE.search(text)
    return f"CL:{match[1]}" if match else None


def same_token(given: str, wanted: str) -> bool:
    """Whether a text is a token: in another case, in quotes, or with what it is before it.

    Examples
    --------
    >>> same_token("Cluster token: `abc2de`", "ABC2DE"), same_token("ABC2DE XYZ7AB", "ABC2DE")
    (True, False)
    """
    words = re.findall(r"[a-z0-9]+", given.casefold())
    named = {"cluster", "token", "id", "the", "is", "clustertoken"}
    return wanted.casefold() in words and set(words) <= named | {wanted.casefold()}


def listed_name(given: str, names: Iterable[str]) -> str | None:
    """Return the one of some names, as of genes, that a text means; None if it is none or two.

    Case, quotes and a figure or note behind the name do not count.

    Examples
    --------
    >>> [listed_name(g, ["CD3D", "IL7R"]) for g in ("cd3d", "CD3D (log2FC 3.1)", "`IL7R`", "CD3")]
    ['CD3D', 'CD3D', 'IL7R', None]
    """
    known = list(names)
    if given in known:
        return given
    folded: dict[str, list[str]] = {}
    for name in known:
        folded.setdefault(name.casefold(), []).append(name)
    plain = given.translate(_INVISIBLE).strip().strip(_QUOTES + "*_#- \t").strip()
    short = re.split(r"[\s(\[{:=,;|\u2191\u2193]", plain, maxsplit=1)[0].strip(_QUOTES + "*")
    for form in (plain, plain.rstrip("+-"), short, short.rstrip("+-")):
        if form in known:
            return form
        if len(found := folded.get(form.casefold(), [])) == 1:
            return found[0]
    return None


def confidence_of(value: object) -> float | None:
    """Return a confidence from 0 to 1 of what somebody gave for one, None if it is not clear.

    Numbers above 10 are percent. From 1 to 10 they may be percent or marks out of ten, and
    nothing is guessed.

    Examples
    --------
    >>> [confidence_of(v) for v in (0.9, "0.9", 90, "90 %", "High", "8/10", 7, float("nan"))]
    [0.9, 0.9, 0.9, 0.9, 0.9, 0.8, None, None]
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _share(float(value)) if abs(value) <= 100 else None
    if not isinstance(value, str):
        return None
    text = re.sub(r"(?<=\d),(?=\d)", ".", value.strip().casefold())
    numbers = re.findall(r"(?<![\w.])-?(?:\d+\.?\d*|\.\d+)", text)
    if not numbers:
        words = {_SURE[w] for w in re.findall(r"[a-z]+", text) if w in _SURE}
        return words.pop() if len(words) == 1 and not re.search(r"\b(?:not|no)\b", text) else None
    if (
        of := re.search(r"(\d+\.?\d*)\s*(?:/|out of)\s*(10|100|5|1)(?:\.0*)?(?!\d)", text)
    ) is not None:
        part = float(of[1]) / float(of[2])
        return part if part <= 1 else None
    if len(numbers) > 1:
        return None
    number = float(numbers[0])
    if "%" in text or "percent" in text:
        return number / 100 if 0 <= number <= 100 else None
    return _share(number)


def _share(number: float) -> float | None:
    if not math.isfinite(number) or number < 0 or 1 < number <= 10 or number > 100:
        return None
    return number if number <= 1 else number / 100


def token_of(name: str) -> str:
    """Return a name, as of a column or a layer, without case, dots, underscores, hyphens, spaces.

    Examples
    --------
    >>> token_of("Raw_counts"), token_of("Avg.log2_FC")
    ('rawcounts', 'avglog2fc')
    """
    return "".join(c for c in name.casefold() if c not in "._- ")
