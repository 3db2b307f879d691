"""The schemas: every reference leads somewhere, every code and operator is there."""

import json
import re

from cellferry.server.failures import CODES
from cellferry.server.http.openapi import ref, schemas
from cellferry.server.jobs.llm_configs import PROVIDERS
from cellferry.server.lookup.counts import OPERATORS


def test_references_lead_to_schemas():
    found = schemas()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert names <= set(found)
    assert ref("Status")["$ref"].endswith("/Status")


def test_tables_are_those_of_the_code():
    found = schemas()
    assert found["Failure"]["properties"]["detail"] == ref("FailureDetail")
    codes = found["FailureDetail"]["properties"]["error_code"]["enum"]
    assert codes == [code.value for code in CODES]
    assert found["Filter"]["properties"]["op"]["enum"] == list(OPERATORS)
    assert found["LLMConfig"]["properties"]["provider"]["enum"] == list(PROVIDERS)
