import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines import create_engine
from cellferry.engines.local import Local
from cellferry.engines.local.knowledge.sources import plain, read_knowledge
from cellferry.errors import InvalidOptionError, KnowledgeError, KnowledgeWarning
from local_tables import BLOOD, answers, table

ENAMEL = ["AMELX", "AMBN", "ENAM", "AMTN", "ODAM"]
COLUMNS = {"name": ["Ameloblast"], "positive": ["AMELX*3 AMBN*3 ENAM*2 AMTN ODAM"]}
GMT = "Ameloblast\tCL:0000059, made for a test\t" + "\t".join(ENAMEL) + "\n"


def sources(folder):
    (folder / "mine.tsv").write_text("name\tpositive\nAmeloblast\t" + COLUMNS["positive"][0] + "\n")
    (folder / "mine.gmt").write_text(GMT)
    return {
        "table": folder / "mine.tsv",
        "gmt": str(folder / "mine.gmt"),
        "frame": pd.DataFrame(COLUMNS),
        "columns": COLUMNS,
        "one row, as R sends it": {k: v[0] for k, v in COLUMNS.items()},
        "lists": {"Ameloblast": ENAMEL},
    }


@pytest.mark.parametrize(
    "kind", ["table", "gmt", "frame", "columns", "one row, as R sends it", "lists"]
)
def test_every_form_gives_the_same_answer_merged_and_alone(kind, tmp_path):
    source = sources(tmp_path)[kind]
    markers = table({"0": ENAMEL, "1": BLOOD["1"]})
    merged = answers(Local(knowledge=source), markers)
    assert list(merged.labels().values()) == ["Ameloblast", "B cell"]
    alone = answers(Local(knowledge=source, knowledge_only=True), markers)
    assert list(alone.labels().values()) == ["Ameloblast", "Unknown"]
    again = create_engine("local", Local(knowledge=source).describe())
    assert answers(again, markers).rows == merged.rows


def test_an_ontology_id_in_the_note_of_a_gene_set_is_used(tmp_path):
    (found,) = read_knowledge(plain(sources(tmp_path)["gmt"]))
    assert (found.ontology_id, found.ontology_label) == ("CL:0000059", "ameloblast")


def test_gene_sets_of_the_mouse_are_mouse_knowledge():
    sets = {"B": ["Cd79a", "Ms4a1", "Cd19", "Pax5", "Cd22"]}
    (found,) = read_knowledge(plain(sets))
    assert list(found.positive) == ["mouse"]


def test_what_users_add_wins_over_a_packaged_type_with_the_same_genes():
    own = Local(knowledge={"My B cell": BLOOD["1"]})
    assert answers(own, table(BLOOD))["1"].label == "My B cell"
    assert answers(own, table(BLOOD))["0"].label == "T cell"


@pytest.mark.parametrize("source", [7, {}, ["CD79A"]])
def test_what_is_no_knowledge_is_refused(source):
    with pytest.raises(InvalidOptionError, match="`knowledge` must be"):
        Local(knowledge=source)


@pytest.mark.parametrize("text", ["", "name\tnote\n", "\tnote\tCD79A\n"])
def test_a_gmt_file_without_sets_is_refused(text, tmp_path):
    path = tmp_path / "mine.gmt"
    path.write_text(text)
    with pytest.raises(KnowledgeError, match=r"mine\.gmt"):
        Local(knowledge=path)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(KnowledgeError, match="different lengths"):
        Local(knowledge={"name": ["A", "B"], "positive": ["CD79A"]})
    with pytest.raises(KnowledgeError, match="cannot be read"):
        Local(knowledge="no such file.gmt")


@given(
    st.dictionaries(
        st.text("abcdefgh ", min_size=1).filter(str.strip),
        st.lists(st.sampled_from(ENAMEL), min_size=1, unique=True),
        min_size=1,
        max_size=4,
    )
)
def test_lists_keep_all_their_genes(sets):
    sets = {name.strip(): genes for name, genes in sets.items()}
    found = {t.name: {m.name for m in t.positive["human"]} for t in read_knowledge(plain(sets))}
    assert found == {name: set(genes) for name, genes in sets.items()}


@pytest.mark.parametrize("text", ["CD3E CD3D*3", "CD3E,CD3D*3", "CD3E; CD3D*3", "CD3E ,\tCD3D*3 ;"])
def test_genes_are_separated_by_blanks_commas_or_semicolons(text):
    (of_table,) = read_knowledge(plain({"name": ["Mine"], "positive": [text]}))
    (of_list,) = read_knowledge(plain({"Mine": [text]}))
    for found in (of_table, of_list):
        assert [m.name for m in found.positive["human"]] == ["CD3E", "CD3D"]
    assert [m.tier for m in of_list.positive["human"]] == [2, 3]


def test_unknown_genes_and_wrong_case_are_a_warning_with_the_line_of_the_file(tmp_path):
    gmt = tmp_path / "mine.gmt"
    gmt.write_text("\n\nOne\tnote\tCD3E\tcd3d\n\nTwo\tnote\tCD19,CD79AA\n")
    with pytest.warns(KnowledgeWarning) as caught:
        read_knowledge(str(gmt))
    said = caught[0].message.message
    assert '"cd3d" ("mine.gmt", line 3, nearest: "CD3D")' in said
    assert '"CD79AA" ("mine.gmt", line 5, nearest: "CD79A")' in said
    tsv = tmp_path / "mine.tsv"
    tsv.write_text("# mine\nname\tpositive\n\nOne\tcd3e\n")
    with pytest.warns(KnowledgeWarning, match=r'"cd3e" \("mine.tsv", line 4, nearest: "CD3E"\)'):
        read_knowledge(str(tsv))
    with pytest.warns(KnowledgeWarning, match=r'"cd3e" \("knowledge", row 1'):
        Local(knowledge={"Mine": ["cd3e", "CD3D"]})


def test_the_line_of_the_columns_is_named_behind_comments(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("# mine\n\nname\tpositve\nOne\tCD3E\n")
    with pytest.raises(KnowledgeError, match=r'"mine.tsv", line 3, has no column "positive"'):
        read_knowledge(str(path))


def test_what_is_no_marker_is_shown_as_it_was_written():
    with pytest.raises(KnowledgeError, match='"b@d" is not a marker'):
        Local(knowledge={"Mine": ["CD3E", "b@d"]})
