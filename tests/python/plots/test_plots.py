"""Pictures: what is drawn, where, in which colours, and that names can be read."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry import plots
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.biology.lineage import named, rows
from cellferry.errors import AnnotationsMissingError, GroupMissingError, InvalidOptionError
from cellferry.plots.texts import Box, placed
from cellferry.study.clusters import Clusters

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
plt = matplotlib.pyplot if hasattr(matplotlib, "pyplot") else __import__("matplotlib.pyplot").pyplot

COMMON = list(dict.fromkeys(row.label for row in rows() if row.level != "broad"))


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def labelled(n, each=40):
    """Return an AnnData of n labels, each with three genes of its own."""
    chance = np.random.default_rng(n)
    names = COMMON[:n]
    codes = np.repeat(np.arange(n), each)
    umap = chance.normal(size=(n, 2))[codes] * 9 + chance.normal(size=(len(codes), 2))
    genes = [f"G{i}-{k}" for i in range(n) for k in range(3)]
    values = chance.poisson(0.2, size=(len(codes), len(genes))).astype("f4")
    for i in range(n):
        values[np.ix_(codes == i, [3 * i, 3 * i + 1, 3 * i + 2])] += 2
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical(codes.astype(str)),
            "donor": chance.choice(["d1", "d2"], len(codes)),
        },
        index=[f"c{i}" for i in range(len(codes))],
    )
    adata = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=genes), obsm={"X_umap": umap})
    clusters = Clusters.from_column(obs["leiden"])
    found = tuple(
        Annotation(
            name, "ok", label=names[int(name)], ontology_id=named(names[int(name)]), n_cells=each,
            confidence=(int(name) + 1) / (n + 1), confidence_kind="graded",
            supporting=tuple(genes[3 * int(name) : 3 * int(name) + 3]),
        )
        for name in clusters.names
    )  # fmt: skip
    provenance = {"key": "cell_type", "group_key": "leiden", "created": "2026"}
    attach(adata, Annotations(found, provenance=provenance), clusters, "cell_type")
    return adata


def hexes(points):
    return {matplotlib.colors.to_hex(c) for c in points.get_facecolors()}


@pytest.mark.parametrize("n", [5, 12, 30])
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_names_do_not_meet_and_all_are_there(n, style):
    with plt.style.context(style):
        adata = labelled(n)
        ax = plots.labels(adata, show=False)
        ax.figure.canvas.draw()
        dark = style != "default"
        assert hexes(ax.collections[-1]) == set(cellferry.label_colors(adata, dark=dark).values())
    texts = {text.get_text(): text.get_window_extent() for text in ax.texts}
    legend = ax.get_legend()
    if legend is None:
        assert set(texts) == set(COMMON[:n])
    else:
        names = [text.get_text() for text in legend.get_texts()]
        assert {name.split(" ", 1)[1] for name in names} == set(COMMON[:n])
        assert set(texts) == {str(i) for i in range(1, n + 1)}
    assert not [pair for pair in combinations(texts, 2) if texts[pair[0]].overlaps(texts[pair[1]])]


def test_the_legend_is_beside_where_there_is_no_room():
    adata = labelled(30)
    adata.obsm["X_umap"] *= [1, 0]
    _, ax = plt.subplots(figsize=(2, 2))
    assert plots.labels(adata, ax=ax) is ax
    assert len(ax.get_legend().get_texts()) == 30
    with pytest.raises(InvalidOptionError, match="legend"):
        plots.labels(adata, legend="left")


def test_cells_without_a_label_or_a_place_do_no_harm():
    adata = labelled(5)
    adata.obs.loc["c0", "cell_type"] = np.nan
    adata.obsm["X_umap"][1] = np.nan
    ax = plots.labels(adata, show=False)
    assert hexes(ax.collections[0]) == {"#c6cccf"}
    assert len(ax.collections[0].get_offsets()) == 1


def test_confidence_goes_from_0_to_1_with_the_least_sure_on_top():
    ax = plots.confidence(labelled(5), show=False)
    points = ax.collections[-1]
    assert points.get_clim() == (0, 1)
    assert (np.diff(points.get_array()) <= 0).all()
    adata = labelled(5)
    del adata.obs["cell_type_confidence"]
    with pytest.raises(GroupMissingError, match="confidence"):
        plots.confidence(adata)


def test_supporting_markers_are_on_the_diagonal_and_readable_at_twelve():
    adata = labelled(12)
    ax = plots.supporting(adata, show=False)
    ax.figure.canvas.draw()
    genes = [text.get_text() for text in ax.get_xticklabels()]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == list(cellferry.label_colors(adata))
    assert genes == [g for name in names for g in cellferry.supporting_markers(adata)[name]]
    dots = ax.collections[0]
    share = (dots.get_sizes() / 90).reshape(12, 36)
    expected = [
        [(adata[adata.obs["cell_type"] == n, g].X > 0).mean() for g in genes] for n in names
    ]
    np.testing.assert_allclose(share, expected)
    assert (dots.get_array().reshape(12, 36).argmax(axis=0) == np.repeat(np.arange(12), 3)).all()
    for texts in (ax.get_xticklabels(), ax.get_yticklabels()):
        boxes = [text.get_window_extent() for text in texts]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    with pytest.raises(cellferry.errors.LayerMissingError):
        plots.supporting(adata, layer="none")


def test_supporting_markers_of_thirty_labels_are_readable_and_no_poster():
    adata = labelled(30)
    ax = plots.supporting(adata, show=False)
    ax.figure.canvas.draw()
    wide, high = ax.figure.get_size_inches()
    assert wide < 17
    assert high < 10
    texts = ax.get_xticklabels()
    assert len(texts) == 90
    for some in (texts, ax.get_yticklabels()):
        boxes = [text.get_window_extent() for text in some]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    # Every other label's genes are shaded.
    assert len(ax.patches) == 15


def test_genes_that_only_raw_has_are_read_there():
    adata = labelled(5)
    adata.raw = adata.copy()
    ax = plots.supporting(adata[:, :1].copy(), show=False)
    assert len(ax.get_xticklabels()) == 15


def test_a_comparison_has_the_shares_of_rows():
    adata = labelled(5)
    adata.obs["old"] = np.where(np.arange(adata.n_obs) % 4 == 0, None, adata.obs["cell_type"])
    ax = plots.compare(adata, "old", "cell_type", show=False)
    shares = ax.images[0].get_array()
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "no label"
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares[:5], np.eye(5))
    np.testing.assert_allclose(shares[5], 0.2)
    with pytest.raises(GroupMissingError, match="Did you mean"):
        plots.compare(adata, "old", "cell_typ")


def test_a_composition_has_a_bar_for_each_sample():
    adata = labelled(5)
    adata.obs.loc[adata.obs_names[:40], "donor"] = np.nan
    ax = plots.composition(adata, sample_key="donor", show=False)
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(-1, 2)
    np.testing.assert_allclose(widths.sum(axis=0), 1)
    # One label is in no sample; the others keep their colours.
    assert len(widths) == 4
    known = cellferry.label_colors(adata)
    shown = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in ax.patches[::2]]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == [known[name] for name in names]
    counts = plots.composition(adata, sample_key="donor", counts=True, show=False)
    assert sum(bar.get_width() for bar in counts.patches) == 160
    with pytest.raises(GroupMissingError, match="donors"):
        plots.composition(adata, sample_key="donors")


def test_a_picture_is_saved_and_the_axes_of_others_are_used(tmp_path):
    _, (left, right) = plt.subplots(1, 2)
    adata = labelled(5)
    plots.labels(adata, ax=left)
    assert plots.labels(adata, ax=right, save=tmp_path / "x.png") is right
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_said():
    adata = labelled(5)
    del adata.obsm["X_umap"]
    with pytest.raises(GroupMissingError, match="no embedding"):
        plots.labels(adata)
    with pytest.raises(AnnotationsMissingError):
        plots.labels(anndata.AnnData(obs=adata.obs[["leiden"]]))
    del adata.obs["cell_type"]
    with pytest.raises(AnnotationsMissingError, match="not in the metadata any more"):
        plots.composition(adata, sample_key="donor")


def test_texts_find_the_nearest_free_place():
    boxes = [Box(50, 50, 20, 5)] * 4
    found = placed(boxes, 300, 100)
    assert found is not None
    assert not any(a.meets(b) for a, b in combinations(found, 2))
    assert max(abs(box.y - 50) + abs(box.x - 50) for box in found) < 40
    assert placed([Box(10, 10, 40, 5)], 50, 50) is None


@pytest.mark.process
def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, cellferry.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
