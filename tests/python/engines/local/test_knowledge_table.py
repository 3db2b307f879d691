import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.local.knowledge.base import CellType, Marker
from cellferry.engines.local.knowledge.table import COLUMNS, read_types
from cellferry.errors import KnowledgeError

HEADER = "\t".join(COLUMNS)


def write(path, *rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def row(**cells):
    return "\t".join(cells.get(c, "") for c in COLUMNS)


def test_a_short_table_is_enough(tmp_path):
    path = write(tmp_path / "mine.tsv", "Mast\tKIT*3 CPA3*2 KIT", header="name\tpositive")
    (mast,) = read_types(path)
    assert mast == CellType(
        "Mast",
        positive={"human": (Marker(("KIT",), 3), Marker(("CPA3",), 2))},
        negative={"human": ()},
    )


def test_comments_blank_lines_and_byte_order_mark_are_accepted(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("\ufeff# mine\nname\tpositive\n\n# more\nMast\tKIT\n", encoding="utf-8")
    assert [t.name for t in read_types(path)] == ["Mast"]


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ({"positive": "KIT"}, "name", "empty"),
        ({"name": "X"}, "positive", "no marker"),
        ({"name": "X", "positive": "KIT*4"}, "positive", r"KIT\*4"),
        ({"name": "X", "positive": "KIT,CPA3*4"}, "positive", r"CPA3\*4"),
        ({"name": "X", "positive": "KIT", "negative": "CD3D*x"}, "negative", "CD3D"),
        ({"name": "X", "positive": "KIT", "negative": "KIT"}, "negative", "KIT"),
        ({"name": "X", "positive": "KIT", "kind": "sort"}, "kind", "sort"),
        ({"name": "X", "positive": "KIT", "ontology_id": "CL:12"}, "ontology_id", "CL:12"),
        ({"name": "X", "positive": "KIT", "ontology_id": "CL:0000097"}, "ontology_label", "label"),
        ({"name": "X", "positive": "KIT", "negative_mouse": "Kit"}, "positive_mouse", "empty"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(tmp_path, cells, column, said):
    path = write(tmp_path / "mine.tsv", row(name="Good", positive="CD3D"), row(**cells))
    with pytest.raises(KnowledgeError, match=said) as caught:
        read_types(path)
    assert caught.value.data == {"line": 3, "column": column}
    assert f'"mine.tsv", line 3, column "{column}"' in caught.value.message


def test_a_name_that_occurs_twice_is_an_error(tmp_path):
    path = write(tmp_path / "m.tsv", row(name="X", positive="KIT"), row(name="X", positive="CD3D"))
    with pytest.raises(KnowledgeError, match=r'line 3.*"X" occurs twice'):
        read_types(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("name\tmarkers", '"positive"'),
        ("name\tpositive\tcolour", '"colour", which is not known'),
        ("name\tpositive\tname", '"name", twice'),
    ],
)
def test_a_wrong_header_is_an_error(tmp_path, header, said):
    with pytest.raises(KnowledgeError, match="line 1") as caught:
        read_types(write(tmp_path / "mine.tsv", "X\tKIT\t", header=header))
    assert said in caught.value.message


def test_too_many_cells_missing_files_and_empty_files_are_errors(tmp_path):
    with pytest.raises(KnowledgeError, match="line 2: 3 cells"):
        read_types(write(tmp_path / "m.tsv", "X\tKIT\tCD3D", header="name\tpositive"))
    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_types(tmp_path / "none.tsv")
    (tmp_path / "empty.tsv").write_text("\n")
    with pytest.raises(KnowledgeError, match="is empty"):
        read_types(tmp_path / "empty.tsv")
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_types(tmp_path / "binary.tsv")


SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9]{1,5}(-[0-9])?", fullmatch=True)


@given(st.dictionaries(SYMBOLS, st.integers(1, 3), min_size=1, max_size=20))
def test_markers_survive_being_written_and_read(tmp_path_factory, tiers):
    text = " ".join(f"{g}*{t}" if t > 1 else g for g, t in tiers.items())
    path = tmp_path_factory.mktemp("table") / "mine.tsv"
    (found,) = read_types(write(path, row(name="X", positive=text, positive_mouse="-")))
    assert {m.name: m.tier for m in found.positive["human"]} == tiers
    assert "mouse" not in found.positive
