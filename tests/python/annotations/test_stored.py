import anndata
import pytest

from cellferry import annotate_clusters, annotation_report, errors, read_annotations


def test_the_newest_key_is_read_unless_one_is_named(blood):
    first = annotate_clusters(blood, group_key="louvain", key="first", progress=False)
    second = annotate_clusters(blood, group_key="louvain", key="second", progress=False)
    assert read_annotations(blood).provenance["run"] == second.provenance["run"]
    assert read_annotations(blood).rows == second.rows
    assert read_annotations(blood, "first").rows == first.rows
    with pytest.raises(errors.AnnotationsMissingError, match='"first", "second"') as caught:
        read_annotations(blood, "secnd")
    assert 'Did you mean "second"' in caught.value.hint


def test_an_object_without_annotations_says_what_to_do(blood):
    with pytest.raises(errors.AnnotationsMissingError, match="holds no annotations"):
        read_annotations(blood)


def test_concat_keeps_the_labels_and_says_that_the_record_is_gone(blood):
    annotate_clusters(blood, group_key="louvain", progress=False)
    joined = anndata.concat({"x": blood, "y": blood}, index_unique="-")
    assert joined.n_obs == 1400
    assert list(joined.obs["cell_type"][:700]) == list(blood.obs["cell_type"])
    with pytest.raises(errors.AnnotationsMissingError) as caught:
        read_annotations(joined)
    assert "concat() drops uns" in caught.value.hint


def test_the_report_has_the_embedding_of_the_object(blood, tmp_path):
    annotate_clusters(blood, group_key="louvain", progress=False)
    path = annotation_report(blood, tmp_path / "r.html")
    page = path.read_text(encoding="utf-8")
    assert "<svg" in page
    assert "X_umap" in page


def test_what_has_no_annotations_by_its_kind_is_refused():
    with pytest.raises(errors.UnsupportedObjectError, match="travel with an AnnData") as caught:
        read_annotations({"0": ["CD3D"]})
    assert "path" in caught.value.hint
