from click.testing import CliRunner

from cellferry import annotate_clusters
from cellferry.cli import group


def test_a_report_is_written_from_a_run_or_a_record(tmp_path):
    found = annotate_clusters({"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}, progress=False)
    record = tmp_path / "x_annotations.json"
    record.write_text(found.to_json(), encoding="utf-8")
    for source, name in ((found.provenance["run"], "a.html"), (str(record), "b.html")):
        done = CliRunner().invoke(group, ["report", source, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "B cell" in (tmp_path / name).read_text(encoding="utf-8")
    again = CliRunner().invoke(group, ["report", str(record), str(tmp_path / "b.html")])
    assert again.exit_code == 1
