"""The colours of labels: distinct, and the first ones for every colour vision."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.annotations.palette import PALETTE, SAFE, UNKNOWN_COLOURS, check_own, colours
from cellferry.biology.lineage import rows
from cellferry.biology.ontology import cell_ontology
from cellferry.errors import InvalidOptionError

# Machado and others 2009, https://doi.org/10.1109/TVCG.2009.113, severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def oklab(colours, vision):
    """Return colours as they are seen, in Oklab, https://bottosson.github.io/posts/oklab/."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    cones = seen @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def least_distance(colours, vision):
    values = oklab(colours, vision)
    apart = np.linalg.norm(values[:, None] - values[None], axis=-1)
    return (apart + np.eye(len(values))).min()


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("vision", VISIONS)
def test_twelve_are_safe_for_every_colour_vision(page, vision):
    colours = [pair[page] for pair in PALETTE[:SAFE]]
    assert SAFE == 12
    # The ten colours of matplotlib's default cycle have 0.007 with protanopia.
    assert least_distance(colours, vision) > 0.07


@pytest.mark.parametrize("page", [0, 1])
def test_forty_are_different(page):
    assert len(PALETTE) == 40
    assert least_distance([pair[page] for pair in PALETTE], "normal") > 0.07


TERMS = [t for t in cell_ontology().terms.values() if not t.obsolete]
COMMON = list(dict.fromkeys(row.label for row in rows()))
NAMED = st.sampled_from([(t.label, t.id) for t in TERMS]) | st.tuples(
    st.text(min_size=1, max_size=9), st.none()
)


def sets(most):
    return st.lists(NAMED, min_size=1, max_size=most, unique_by=lambda pair: pair[0])


def shown(found, page):
    return [tone[page] for label, tone in found.items() if label != "Unknown"]


@settings(max_examples=120, deadline=None)
@given(sets(SAFE))
def test_any_twelve_labels_are_told_apart_by_every_colour_vision(pairs):
    found = colours([x for x, _ in pairs], [i for _, i in pairs])
    for page in (0, 1):
        assert all(least_distance(shown(found, page), vision) > 0.0699 for vision in VISIONS)


@settings(max_examples=60, deadline=None)
@given(sets(40))
def test_any_forty_labels_are_told_apart(pairs):
    found = colours([x for x, _ in pairs], [i for _, i in pairs])
    for page in (0, 1):
        assert least_distance(shown(found, page), "normal") > 0.0699


@settings(max_examples=60, deadline=None)
@given(sets(50), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(pairs, chance):
    mixed = chance.sample(pairs, len(pairs))
    one = colours([x for x, _ in pairs], [i for _, i in pairs])
    assert one == colours([x for x, _ in mixed], [i for _, i in mixed])


def test_beyond_the_palette_colours_repeat_evenly():
    found = colours([f"type {i}" for i in range(100)])
    uses = Counter(tone.number for tone in found.values())
    assert len(uses) == 40
    assert set(uses.values()) == {2, 3}


TISSUES = {
    "blood": "Naive CD4 T cell|Memory CD4 T cell|CD8 T cell|NK cell|B cell|Classical monocyte|"
    "Non-classical monocyte|Dendritic cell|Platelet",
    "atlas": "T cell|B cell|NK cell|Monocyte|Macrophage|Dendritic cell|Mast cell|Epithelial cell|"
    "Endothelial cell|Fibroblast|Smooth muscle cell|Plasma cell",
    "cortex": "Parvalbumin interneuron|Somatostatin interneuron|VIP interneuron|LAMP5 interneuron|"
    "Glutamatergic neuron|Astrocyte|Oligodendrocyte|Oligodendrocyte precursor cell|"
    "Microglial cell|Endothelial cell",
    "pancreas": "Pancreatic beta cell|Pancreatic alpha cell|Pancreatic delta cell|"
    "Pancreatic PP cell|Pancreatic acinar cell|Pancreatic ductal cell|Endothelial cell|"
    "Pancreatic stellate cell|Macrophage|Mast cell|T cell|Schwann cell",
    "lung": "Alveolar type 1 cell|Alveolar type 2 cell|Club cell|Multiciliated cell|Macrophage|"
    "Monocyte|T cell|B cell|NK cell|Endothelial cell|Fibroblast|Smooth muscle cell",
    "liver": "Hepatocyte|Cholangiocyte|Kupffer cell|T cell|NK cell|B cell|Plasma cell|"
    "Endothelial cell|Hepatic stellate cell|Monocyte|Dendritic cell|Erythrocyte",
}


@pytest.mark.parametrize("tissue", TISSUES)
def test_types_of_a_tissue_have_the_colours_that_they_have_alone(tissue):
    labels = TISSUES[tissue].split("|")
    assert all(colours(labels)[label] == colours([label])[label] for label in labels)


def test_most_common_types_keep_their_colour_whatever_is_with_them():
    chance = random.Random(0)
    kept = total = 0
    for _ in range(200):
        labels = chance.sample(COMMON, 15)
        found = colours(labels)
        kept += sum(found[label] == colours([label])[label] for label in labels)
        total += len(labels)
    assert kept / total > 0.7


def test_a_label_may_be_named_by_its_id_or_its_name():
    assert colours(["B cell"])["B cell"] == colours(["Lymphozyten"], ["CL:0000236"])["Lymphozyten"]
    assert colours(["b cells"])["b cells"] == colours(["B cell"])["B cell"]


def test_own_colours_are_kept_and_others_keep_away():
    found = colours(["T cell", "B cell"], own={"B cell": "#0072b2"})
    assert found["B cell"][:2] == ("#0072b2", "#0072b2")
    assert least_distance([found["T cell"].light, "#0072b2"], "protanopia") > 0.07


def test_unknown_is_grey_and_none_has_no_colour():
    assert colours([None, "Unknown"]) == {"Unknown": (*UNKNOWN_COLOURS, None)}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"B cells": "#123456"}, '(?s)no label "B cells".*Did you mean "B cell"'),
        ({"B cell": "blue"}, "is no colour"),
        ({"B cell": 7}, "is no colour"),
        ({"B cell": "#12345"}, "is no colour"),
    ],
)
def test_own_colours_that_are_none_are_refused(chosen, message):
    with pytest.raises(InvalidOptionError, match=message):
        check_own(chosen, ["B cell", None])
