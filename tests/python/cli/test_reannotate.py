"""``cellferry reannotate``: one cluster is asked again; the files of the run have its answer."""

from command import MARKERS, command


def test_the_files_of_the_run_have_the_new_answer(llm_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text(MARKERS)
    model = ("--provider", "openai", "--model", "m", "--base-url", llm_server.url)
    done = command(
        "annotate", "m.csv", "--engine", "llm", *model, "--out", "r", "--species", "human"
    )
    assert done.code in {0, 3}
    llm_server.used.clear()
    llm_server.log.clear()
    llm_server.script = {("B cell", "annotator"): ["label:plasma cell=CL:0000786"]}
    done = command("reannotate", "r_run", "--cluster", "0", "--remark", "Sorted for CD138.")
    assert "plasma cell" in done.out
    assert {r["label"] for r in llm_server.log} == {"B cell"}
    assert "plasma cell" in (tmp_path / "r_annotations.csv").read_text()
    refused = command("reannotate", "r_run", "--cluster", "9", "--remark", "x")
    assert (refused.code, 'no cluster "9"' in refused.err) == (2, True)
