import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.cytetype.answer import rows_of
from cellferry.engines.cytetype.keyed import by_id, record_of
from cellferry.engines.cytetype.payload import ClusterIds

NAMES = st.lists(
    st.sampled_from(["T cell", "B cell", "NK cell", "0", "1", "2", "10", "Mono", "a"]),
    min_size=1, unique=True,
)  # fmt: skip


def entry(label, cluster):
    return {"latest": {"annotation": {"clusterId": cluster, "annotation": label}}}


def labels_of(annotations, names):
    ids = ClusterIds.of(names)
    rows, _ = rows_of({"annotations": annotations}, {}, names, ids)
    return {row.cluster: row.label for row in rows}


@given(NAMES, st.booleans(), st.booleans())
def test_no_cluster_gets_the_label_of_another_however_they_are_called(names, by_name, own_by_name):
    names = tuple(names)
    ids = ClusterIds.of(names).by_cluster
    sent = {
        (name if by_name else ids[name]): entry(
            f"label of {name}", name if own_by_name else ids[name]
        )
        for name in names
    }
    found = labels_of(sent, names)
    assert all(label in {None, f"label of {name}"} for name, label in found.items())
    if not by_name and not own_by_name:
        assert None not in found.values()


@given(NAMES)
def test_results_by_name_reach_every_cluster(names):
    names = tuple(names)
    ids = ClusterIds.of(names).by_cluster
    found = labels_of(
        {n: {"latest": {"annotation": {"annotation": f"is {n}"}}} for n in names}, names
    )
    assert found == {n: f"is {n}" for n in names}
    assert set(ids) == set(names)


def test_a_key_that_may_be_two_clusters_is_used_for_none():
    # "1" is the name of the cluster 0 and the id of the cluster "T cell".
    labels = {"0": "1", "1": "B cell", "2": "T cell"}
    assert by_id({"0": "a", "1": "b", "T cell": "c"}, labels) == {"0": "a", "2": "c"}


def test_a_cluster_that_is_answered_twice_has_no_answer():
    listed = [{"clusterId": "0", **entry("T cell", "0")}, {"clusterId": "0", **entry("NK", "0")}]
    assert labels_of(record_of(listed), ("0",)) == {"0": None}


def test_the_annotation_may_be_the_record_itself():
    listed = [{"cluster": "0", "annotation": "T cell"}, {"annotation": "B cell", "clusterId": 1}]
    assert labels_of(record_of(listed), ("0", "1")) == {"0": "T cell", "1": "B cell"}


@pytest.mark.parametrize("given", [None, 3, "text"])
def test_what_is_no_record_is_none(given):
    assert record_of(given) is None
