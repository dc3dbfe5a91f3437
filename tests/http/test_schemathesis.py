"""Requests that schemathesis generates from /openapi.json: they get only declared answers."""

from __future__ import annotations

import pytest

from .conftest import Api
from .environments import ENVIRONMENTS
from .programs import PROGRAMS, output

pytestmark = [
    pytest.mark.model,
    pytest.mark.clients,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


async def test_generated_requests_get_declared_answers(api: Api) -> None:
    environment = ENVIRONMENTS["schemathesis"]
    if not environment.installed:
        pytest.skip("schemathesis is not installed; script/test-http installs it")
    await output(
        *(str(environment.folder / "bin" / "schemathesis"), "run", f"{api.url}/openapi.json"),
        *("--url", api.url, "--checks", CHECKS, "--max-examples", "20", "--seed", "1"),
        *("--phases", "coverage,fuzzing", "--no-color"),
        env={"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(PROGRAMS)},
        folder=api.folder,  # it writes a cache
    )
