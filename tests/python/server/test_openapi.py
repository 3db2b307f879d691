"""The OpenAPI document: valid, complete, and kept by the running server (schemathesis)."""

import zlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks

from cellferry.server.http.openapi import document
from server_engine import PLUG
from server_files import write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, submit, upload


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    with ServerProcess(
        folder / "data", "--keep-free", "0", "--chunk-size", "4K", plug=PLUG
    ) as found:
        files = {
            "vars_h5": upload(found, "vars_h5", write_vars_h5(folder / "v").read_bytes()),
            "obs_duckdb": upload(found, "obs_duckdb", write_obs_duckdb(folder / "o").read_bytes()),
        }
        found.job = submit(found, uploaded_files=files)
        found.upload = files["vars_h5"]
        found.wait_for(found.job)
        yield found


schema = schemathesis.openapi.from_dict(document())
load_all_checks()
CHECKS = schemathesis.checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)


def test_every_address_of_the_server_is_described():
    from cellferry.server.http.routes import Routes
    from cellferry.server.service import Server

    described = {
        (method.upper(), path) for path, of in document()["paths"].items() for method in of
    }
    served = {
        (method, route.path)
        for route in Routes(Server.__new__(Server)).routes()
        for method in route.methods - {"HEAD"}
    }
    assert served == described


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_keeps_the_document(case, server):
    # Half of the requests go to what exists, or all would end as not found.
    for name, known in (("job_id", server.job), ("upload_id", server.upload)):
        if (
            name in case.path_parameters
            and zlib.crc32(str(case.path_parameters[name]).encode()) % 2
        ):
            case.path_parameters[name] = known
    case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=30)
