"""An AnnData in zarr at an address gives what it gives in a folder; nothing else is asked for."""

import subprocess
import sys
import warnings

import anndata
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import csc_matrix, csr_matrix

from cell_data import cells
from cellferry import annotate_cells, annotate_clusters, build_artifacts, find_markers
from cellferry.cli import group
from cellferry.errors import (
    DependencyError,
    GroupMissingError,
    InputError,
    InvalidOptionError,
)
from cellferry.study.expression import zarr_groups
from cellferry.study.inputs.several import opened_place, place_of
from zarr_server import served

pytest.importorskip("aiohttp", reason="addresses are read by fsspec, which needs aiohttp")
zarr = pytest.importorskip("zarr", minversion="3.0")
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(zarr_groups, "PAUSES", (0.01, 0.02))


def stored(folder, *, made=csr_matrix, version=2, name="x.zarr"):
    adata = cells()
    adata.X = made(adata.X.toarray()) if made is np.asarray else made(adata.X)
    adata.obsm["X_umap"] = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")
        adata.write_zarr(folder / name)
        # As atlases are published; what a server does not list is found by it.
        zarr.consolidate_metadata(folder / name)
    return adata


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
def test_what_is_at_an_address_gives_what_the_object_gives(tmp_path, made, version):
    adata = stored(tmp_path, made=made, version=version)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False).to_frame()
    expected = annotate_cells(adata, progress=False).to_frame()
    with served(tmp_path) as server:
        address = f"{server.url}/x.zarr"
        far = find_markers(address, "leiden", return_thresh=1, progress=False).to_frame()
        assert far.equals(near)
        output = tmp_path / "labelled.h5ad"
        found = annotate_cells(address, progress=False, output=output)
        assert found.to_frame().equals(expected)
        assert all(path.startswith("/x.zarr/") for path in server.asked)
    written = anndata.read_h5ad(output)
    assert written.obs["cell_type_cell"].tolist() == adata.obs["cell_type_cell"].tolist()


def test_artifacts_and_clusters_of_an_address(tmp_path):
    adata = stored(tmp_path)
    expected = annotate_clusters(adata, group_key="leiden", progress=False).labels()
    digests = []
    with served(tmp_path) as server:
        address = f"{server.url}/x.zarr"
        found = annotate_clusters(address, group_key="leiden", progress=False)
        assert found.labels() == expected
        for name, data in {"near": tmp_path / "x.zarr", "far": address}.items():
            built = build_artifacts(
                data, group_key="leiden", vars_h5_path=tmp_path / f"{name}.h5",
                obs_duckdb_path=tmp_path / f"{name}.duckdb", progress=False,
            )  # fmt: skip
            digests.append(built.vars_h5.read_bytes())
    assert digests[0] == digests[1]


def test_an_address_may_be_one_of_several_files(tmp_path):
    adata = stored(tmp_path)
    other = adata.copy()
    other.obs_names = [f"o{i}" for i in range(60)]
    other.write_h5ad(tmp_path / "o.h5ad")
    joined = anndata.concat([adata, other])
    near = find_markers(joined, "leiden", return_thresh=1, progress=False).to_frame()
    with served(tmp_path) as server:
        paths = [f"{server.url}/x.zarr", tmp_path / "o.h5ad"]
        assert (
            find_markers(paths, "leiden", return_thresh=1, progress=False).to_frame().equals(near)
        )
        with pytest.raises(InputError, match="given twice"):
            find_markers([paths[0], f"{paths[0]}/"], "leiden", progress=False)


def test_the_command_line_takes_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path)
    with served(tmp_path) as server:
        for name, given in {"near": "x.zarr", "far": f"{server.url}/x.zarr"}.items():
            for arguments in (
                ["annotate", given, "--cells", "--out", name],
                ["markers", given, "--group-key", "leiden", "--out", f"{name}.csv"],
            ):
                done = CliRunner().invoke(group, arguments)
                assert done.exit_code == 0, done.output
        # The run knows where it was, and reads it again.
        done = CliRunner().invoke(group, ["runs", "resume", "far_run", "--out", "again"])
        assert done.exit_code == 0, done.output
    for end in (".csv", "_cells.csv", "_annotations.csv"):
        assert (tmp_path / f"far{end}").read_bytes() == (tmp_path / f"near{end}").read_bytes()
    assert (tmp_path / "again_cells.csv").read_bytes() == (tmp_path / "far_cells.csv").read_bytes()


def test_memory_is_an_address_too(tmp_path):
    import fsspec

    adata = stored(tmp_path)
    files = fsspec.filesystem("memory")
    for file in (tmp_path / "x.zarr").rglob("*"):
        if file.is_file():
            files.pipe(f"/atlas/{file.relative_to(tmp_path)}", file.read_bytes())
    with opened_place(place_of("memory://atlas/x.zarr")) as opened:
        assert (opened.X[0:60] != adata.X).nnz == 0


def read_all(address):
    with opened_place(place_of(address)) as opened:
        return opened.X[0 : opened.X.shape[0]]


PART = "/X/data/0"


@pytest.mark.parametrize("fault", ["once", [503, 503, "once"], "cut"])
def test_what_fails_on_the_way_is_asked_for_again(tmp_path, quick, fault):
    adata = stored(tmp_path)
    faults = {"once": ["once"], "cut": ["cut", "once"]}.get(fault if fault == "cut" else "once")
    with served(tmp_path) as server:
        server.faults = {PART: list(faults)}
        assert (read_all(f"{server.url}/x.zarr") != adata.X).nnz == 0
        assert server.asked.count(f"/x.zarr{PART}") == 1 + len(faults)


@pytest.mark.parametrize(
    ("answer", "said", "times"),
    [(503, "HTTP 503", 3), (403, "HTTP 403", 1), ("cut", "cannot be read", 3),
     (404, 'lacks a part of its values: "X/data/0"', 1)],
)  # fmt: skip
def test_what_keeps_failing_is_an_error_that_names_it(tmp_path, quick, answer, said, times):
    stored(tmp_path)
    with served(tmp_path) as server:
        server.faults = {PART: [answer]}
        with pytest.raises(InputError, match=said):
            read_all(f"{server.url}/x.zarr")
        assert server.asked.count(f"/x.zarr{PART}") == times


def test_a_server_that_ends_is_an_error(tmp_path, quick):
    stored(tmp_path)
    with served(tmp_path) as server:
        address = f"{server.url}/x.zarr"
    with pytest.raises(InputError, match=f'"{address}.*" cannot be read'):
        read_all(address)


def test_nobody_is_followed_to_another_host(tmp_path, quick):
    stored(tmp_path)
    with served(tmp_path) as server, served(tmp_path) as other:
        server.faults = {PART: [f"{other.url}/x.zarr{PART}"]}
        with pytest.raises(InputError, match="leads to another host"):
            read_all(f"{server.url}/x.zarr")
        assert not other.asked
        server.faults = {PART: [f"{server.url}/y.zarr/X/data/0"]}
        (tmp_path / "y.zarr").symlink_to(tmp_path / "x.zarr")
        server.faults = {f"/x.zarr{PART}": [f"{server.url}/y.zarr/X/data/0"]}
        assert read_all(f"{server.url}/x.zarr").nnz


@pytest.mark.parametrize(
    "address",
    ["https://me:secret@host/x.zarr", "https://host/x.zarr?sig=secret", "s3://b/x.zarr#secret"],
)
def test_an_address_with_a_secret_is_refused_without_a_request(address):
    with pytest.raises(InvalidOptionError, match="password, a query") as refused:
        annotate_cells(address, progress=False)
    assert "secret" not in str(refused.value)


def test_what_is_no_anndata_in_zarr_is_said(tmp_path, quick):
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    bare = anndata.AnnData(cells().X, var=cells().var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare.write_zarr(tmp_path / "bare.zarr")
    with served(tmp_path, lists=True) as server:
        for name, said in {
            "none.zarr": "There is no zarr at",
            "x.h5ad": "is no zarr; of addresses nothing else is read",
            "empty.zarr": "is no AnnData: it has no obs and var",
        }.items():
            with pytest.raises(InputError, match=said):
                read_all(f"{server.url}/{name}")
        with pytest.raises(GroupMissingError, match="There are no clusters: the obs of http"):
            find_markers(f"{server.url}/bare.zarr", progress=False)
        with pytest.raises(InvalidOptionError, match="annotated by one engine"):
            annotate_clusters(f"{server.url}/x.zarr", engine=["local", "local"])


@pytest.mark.process
def test_a_bucket_gives_what_the_object_gives(tmp_path, monkeypatch):
    """Needs s3fs and moto, which no lock has: a server of S3 on this machine."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        adata = stored(tmp_path)
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="atlas")
        for path in (tmp_path / "x.zarr").rglob("*"):
            if path.is_file():
                bucket.upload_file(str(path), "atlas", path.relative_to(tmp_path).as_posix())
        near = find_markers(adata, "leiden", return_thresh=1, progress=False).to_frame()
        far = find_markers("s3://atlas/x.zarr", "leiden", return_thresh=1, progress=False)
        assert far.to_frame().equals(near)
        expected = annotate_cells(adata, progress=False).to_frame()
        assert annotate_cells("s3://atlas/x.zarr", progress=False).to_frame().equals(expected)
        for there in ("s3://atlas/none.zarr", "s3://nowhere/x.zarr"):
            with pytest.raises(InputError, match="There is no zarr at"):
                read_all(there)
    finally:
        server.stop()


def test_a_package_that_is_missing_is_named_with_its_line():
    with pytest.raises(InputError, match="kind that is not known"):
        read_all("nowhere://host/x.zarr")
    if "s3fs" in sys.modules:
        pytest.skip("s3fs is installed")
    pytest.importorskip("fsspec")
    try:
        import s3fs  # noqa: F401
    except ImportError:
        with pytest.raises(DependencyError, match="s3fs") as missing:
            read_all("s3://bucket/x.zarr")
        assert 'pip install "cellferry[remote]" s3fs' in missing.value.hint


@pytest.mark.process
def test_without_aiohttp_the_line_that_installs_it_is_said(tmp_path):
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from cellferry.study.inputs.several import opened_place, place_of\n"
        "from cellferry.errors import DependencyError\n"
        "try:\n"
        "    with opened_place(place_of('http://127.0.0.1:9/x.zarr')): pass\n"
        "except DependencyError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "cellferry[remote]"' in done.stdout


def test_nothing_is_left_open(tmp_path, recwarn, caplog):
    stored(tmp_path)
    with served(tmp_path) as server:
        read_all(f"{server.url}/x.zarr")
    import gc

    gc.collect()
    assert "Unclosed" not in caplog.text
    assert not [w for w in recwarn if "nclosed" in str(w.message)]
