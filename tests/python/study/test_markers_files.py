import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import MarkersEmptyError, MarkersFormatError, MarkersUnreadableError
from cellferry.study.markers.files import read_text_columns

TABLE = 'cluster,markers\n0,"CD3D,CD3E"\n1,"CD79A;MS4A1"\n'


@pytest.fixture
def write(tmp_path):
    def written(content, name="markers.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def test_commas(write):
    found = read_text_columns(write(TABLE))
    assert found.values == {"cluster": ("0", "1"), "markers": ("CD3D,CD3E", "CD79A;MS4A1")}
    assert found.what == 'The marker table "markers.csv"'


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("name", ["markers.csv", "markers.tsv", "markers.txt"])
def test_separator_comes_from_the_content_not_the_name(write, separator, name):
    text = f'cluster{separator}markers\n0{separator}"A,B;C\tD"\n1{separator}"E"\n'
    assert read_text_columns(write(text, name)).values["markers"] == ("A,B;C\tD", "E")


def test_lists_without_quotes_between_tabs(write):
    found = read_text_columns(write("cluster\tmarkers, best first\n0\tA,B,C\n1\tD,E\n"))
    assert found.values == {"cluster": ("0", "1"), "markers, best first": ("A,B,C", "D,E")}


def test_a_tab_separates_before_a_comma_does(write):
    found = read_text_columns(write("cluster\tmarkers, best first\n0\tA,B\n1\tC,D\n"))
    assert found.values == {"cluster": ("0", "1"), "markers, best first": ("A,B", "C,D")}


def test_clusters_are_exact_text(write):
    text = "cluster,gene\n007,A\n1.0,B\n1e5,C\n 7_0,D\nNA,E\nTRUE,F\n"
    found = read_text_columns(write(text)).values["cluster"]
    assert found == ("007", "1.0", "1e5", " 7_0", "NA", "TRUE")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_and_blank_lines(write, ending):
    found = read_text_columns(write(TABLE.replace("\n", ending) + ending + ",," + ending))
    assert found.values["cluster"] == ("0", "1")


def test_byte_order_mark(write):
    assert "cluster" in read_text_columns(write(b"\xef\xbb\xbf" + TABLE.encode())).values


def test_gzip(write):
    path = write(gzip.compress(TABLE.encode()), "markers.csv.gz")
    assert read_text_columns(path).values["cluster"] == ("0", "1")


def test_text_that_is_only_called_gz(write):
    assert read_text_columns(write(TABLE, "markers.csv.gz")).values["cluster"] == ("0", "1")


def test_row_names_without_a_header_as_write_table_leaves_them(write):
    text = "p_val\tavg_log2FC\tcluster\tgene\tn\nA\t0\t1\t0\tA\t3\nA1\t0\t1\t1\tA\t3\n"
    assert read_text_columns(write(text)).values["gene"] == ("A", "A")


def test_trap_list_without_quotes_is_not_taken_for_row_names(write):
    with pytest.raises(MarkersUnreadableError) as caught:
        read_text_columns(write("cluster,markers\n0,CD3D,CD3E\n1,CD79A,MS4A1\n"))
    assert '2 columns ("cluster", "markers"), but line 2 has 3 fields' in caught.value.message
    assert "quotation marks" in caught.value.hint


def test_a_row_that_is_too_short_is_named(write):
    with pytest.raises(MarkersUnreadableError, match="line 3 has 2 fields"):
        read_text_columns(write("a,b,c\n1,2,3\n4,5\n"))


def test_write_csv2_has_a_decimal_comma(write):
    found = read_text_columns(write('"";"cluster";"avg_log2FC"\n"A";"0";1,5\n'))
    assert found.decimal == ","
    assert found.values["avg_log2FC"] == ("1,5",)


def test_duplicated_columns(write):
    with pytest.raises(MarkersFormatError, match='several columns of the same name: "gene"'):
        read_text_columns(write("cluster,gene,gene\n0,A,B\n"))


@pytest.mark.parametrize("content", ["", "\n", '""\n', "cluster,gene\n", '"","cluster","gene"\n'])
def test_empty_tables_say_what_the_cause_may_be(write, content):
    with pytest.raises(MarkersEmptyError) as caught:
        read_text_columns(write(content))
    assert "JoinLayers" in caught.value.hint
    assert "thresholds" in caught.value.hint


@pytest.mark.parametrize(
    "content", ["gene\nA\n", "cluster gene\n0 A\n", '"p" "c"\n"A" 0 "1"\n', "just a sentence\n"]
)
def test_one_column(write, content):
    with pytest.raises(MarkersFormatError) as caught:
        read_text_columns(write(content))
    assert "one column only" in caught.value.message
    assert "semicolons" in caught.value.hint


def zipped():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "seems"),
    [
        (zipped(), "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (gzip.compress(b"X\n\0\0\0\3", mtime=0), "an R object"),
        (b"X\n\0\0\0\3", "an R object"),
        (gzip.compress(b"RDX3\nX\n", mtime=0), "an R workspace"),
        (bz2.compress(b"text"), "bzip2"),
        (lzma.compress(b"text"), "xz"),
        (b"PAR1\x15", "Parquet"),
        (b"a,b\n\0\1,2\n", "a binary file"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_binary_file_with_a_csv_name(write, content, seems):
    with pytest.raises(MarkersUnreadableError) as caught:
        read_text_columns(write(content))
    assert "markers.csv" in caught.value.message
    assert seems in caught.value.message
    assert caught.value.hint


def test_what_is_gzipped_is_read_whatever_its_name(write):
    assert read_text_columns(write(gzip.compress(TABLE.encode()))).values["cluster"] == ("0", "1")


def test_truncated_gzip(write):
    with pytest.raises(MarkersUnreadableError, match="damaged"):
        read_text_columns(write(gzip.compress(TABLE.encode() * 99)[:-12], "markers.csv.gz"))


def test_binary_inside_gz(write):
    with pytest.raises(MarkersUnreadableError, match="an R object"):
        read_text_columns(write(gzip.compress(b"X\n\0\0"), "markers.csv.gz"))


def test_text_that_is_not_utf8(write):
    with pytest.raises(MarkersUnreadableError) as caught:
        read_text_columns(write("cluster,gene\n0,A\nZellen für,B\n".encode("latin-1")))
    assert "not UTF-8" in caught.value.message
    assert "line 3" in caught.value.message


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(MarkersUnreadableError, match="There is no file"):
        read_text_columns(tmp_path / "absent.csv")
    with pytest.raises(MarkersUnreadableError, match="is a folder"):
        read_text_columns(tmp_path)


def test_file_that_cannot_be_opened(write, monkeypatch):
    path = write(TABLE)

    def refuse(self, *_mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MarkersUnreadableError, match=r"cannot be opened: .*Permission denied"):
        read_text_columns(path)


@pytest.mark.parametrize("rows", ["1,C\n", "1,C\n" * 60, "1,C\n" * 50_000])
@pytest.mark.parametrize("broken", ['0,"A,B\n', '0,"A\\"B"\n'])
def test_broken_quotation_marks_never_swallow_rows(write, rows, broken):
    for content in ("cluster,markers\n" + broken + rows, "cluster,markers\n" + rows + broken):
        with pytest.raises(MarkersUnreadableError) as caught:
            read_text_columns(write(content))
        assert "cannot be split into columns" in caught.value.message
        assert "quotation mark" in caught.value.hint


# What no text file can contain: NUL, lone surrogates. A leading mark belongs to the encoding.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1, max_size=12
)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), st.sampled_from(",\t;"))
def test_any_text_survives(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("files") / "markers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([("cluster", "gene"), *rows])
    found = read_text_columns(path).values
    assert list(zip(found["cluster"], found["gene"], strict=True)) == rows
