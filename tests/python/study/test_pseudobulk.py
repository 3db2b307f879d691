"""Sums of counts by cluster and sample."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry import pseudobulk
from cellferry.errors import EngineNeedsError, GroupMissingError, InvalidOptionError


def make(seed: int, n: int = 60) -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    counts = sp.csr_matrix(rng.poisson(0.7, (n, 5)).astype(np.float32))
    sample = rng.choice(["s1", "s2", "s10"], n)
    obs = pd.DataFrame(
        {
            "label": pd.Categorical(rng.choice(["B cell", "T cell", None], n)),
            "sample": pd.Categorical(sample),
            "condition": np.where(sample == "s1", "ill", "well"),
            "cell": rng.random(n),
        },
        index=[f"c{i}" for i in range(n)],
    )
    adata = anndata.AnnData(counts.log1p(), obs=obs)
    adata.layers["counts"] = counts
    return adata


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), least=st.integers(1, 12))
def test_sums_are_those_of_pandas(seed: int, least: int) -> None:
    adata = make(seed)
    found = pseudobulk(adata, "label", sample_key="sample", columns=["condition"], min_cells=least)
    frame = pd.DataFrame(adata.layers["counts"].toarray(), columns=adata.var_names)
    frame[["label", "sample"]] = adata.obs[["label", "sample"]].to_numpy()
    groups = frame.dropna().groupby(["label", "sample"])
    expected = groups.sum()[groups.size() >= least]
    assert len(found.samples) == len(expected)
    for (label, sample), sums in expected.iterrows():
        column = f"{label}|{sample}"
        assert found.to_frame()[column].tolist() == sums.tolist()
        row = found.samples.loc[column]
        assert (row["cluster"], row["sample"]) == (label, sample)
        assert row["n_cells"] == groups.size()[label, sample]
        assert row["condition"] == ("ill" if sample == "s1" else "well")
    order = [f"{c}|{s}" for c in ("B cell", "T cell") for s in ("s1", "s10", "s2")]
    assert found.samples.index.tolist() == [c for c in order if c in found.samples.index]
    assert found.counts.dtype == np.int64


def test_what_cannot_be_summed_is_refused() -> None:
    adata = make(1)
    with pytest.raises(InvalidOptionError, match='"cell" has several values in one column'):
        pseudobulk(adata, "label", columns=["cell"])
    with pytest.raises(GroupMissingError, match='no column "smple"') as found:
        pseudobulk(adata, "label", sample_key="smple")
    assert found.value.hint == 'Did you mean "sample"?'
    del adata.layers["counts"]
    with pytest.raises(EngineNeedsError, match="raw counts, and there are none"):
        pseudobulk(adata, "label")
