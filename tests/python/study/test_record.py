import json

from hypothesis import given
from hypothesis import strategies as st

from cellferry.study.markers.read import read_markers
from cellferry.study.record import input_hash, study_from_record, study_record
from cellferry.study.study import Clusters, Context, Study

names = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4, unique=True)


@given(names, st.lists(st.integers(1, 99), min_size=4, max_size=4), st.none() | st.text())
def test_a_record_brings_back_clusters_sizes_markers_and_context(clusters, sizes, tissue):
    study = Study(
        Clusters(tuple(clusters), sizes=tuple(sizes[: len(clusters)])),
        group_key="g",
        markers=read_markers({clusters[0]: ["CD3E", "LYZ"]}) if clusters[0].strip() else None,
        context=Context(tissue, "human", "text", {"a": "b"}),
    )
    record = json.loads(json.dumps(study_record(study)))
    back = study_from_record(record)
    assert back.clusters.names == study.clusters.names
    assert back.clusters.counts() == study.clusters.counts()
    assert back.context == study.context
    assert study_record(back) == study_record(study)
    assert input_hash(back) == input_hash(study)


def test_the_hash_sees_a_change_of_one_gene():
    one, two = (
        Study(Clusters(("a",)), markers=read_markers({"a": ["CD3E", last]}))
        for last in ("LYZ", "LYN")
    )
    assert input_hash(one) != input_hash(two)
