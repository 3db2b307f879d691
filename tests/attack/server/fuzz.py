"""Requests made from the OpenAPI document, valid and not: never a fault of the server."""

import tempfile
import warnings
import zlib
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import load_all_checks
from tests.attack.chance import Tally, chosen, times

from cellferry.server.http.openapi import document
from server_engine import PLUG
from server_files import write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, submit, upload

CHECKS = ("not_a_server_error", "response_schema_conformance", "content_type_conformance")


def rows(scale):
    load_all_checks()
    checks = schemathesis.checks.CHECKS.get_by_names([*CHECKS])
    tally = Tally("requests from the OpenAPI document: no 5xx, answers as described")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with ServerProcess(
            folder / "data", "--keep-free", "0", "--chunk-size", "4K", plug=PLUG
        ) as server:
            files = {
                "vars_h5": upload(server, "vars_h5", write_vars_h5(folder / "v").read_bytes()),
                "obs_duckdb": upload(
                    server, "obs_duckdb", write_obs_duckdb(folder / "o").read_bytes()
                ),
            }
            job = submit(server, uploaded_files=files)
            server.wait_for(job)
            known = {"job_id": job, "upload_id": files["vars_h5"]}
            for operation in schemathesis.openapi.from_dict(document()).get_all_operations():
                fuzz(operation.ok(), server, known, checks, tally, times(200, scale))
            tally.add(server.client.get("/health").status_code == 200, "it is down")
    yield tally.row


def fuzz(operation, server, known, checks, tally, n):
    @seed(chosen(operation.label).getrandbits(32))
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @schemathesis_given(operation)
    def one(case):
        for name, value in known.items():
            text = str(case.path_parameters.get(name)) if case.path_parameters else ""
            if text and zlib.crc32(text.encode()) % 2:
                case.path_parameters[name] = value
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = case.call(base_url=server.url, timeout=60)
                # "Busy" and "full" are answers: many uploads are begun here and none is finished.
                if answer.status_code not in {503, 507}:
                    case.validate_response(answer, checks=checks)
            tally.add(answer.status_code < 500 or answer.status_code in {503, 507})
        except (Exception, BaseExceptionGroup) as error:
            tally.add(False, f"{operation.label}: {error}")

    one()


def schemathesis_given(operation):
    from hypothesis import given
    from schemathesis import GenerationMode

    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    return given(
        case=operation.as_strategy(generation_mode=modes[0]) | negative(operation, modes[1])
    )


def negative(operation, mode):
    return operation.as_strategy(generation_mode=mode)
