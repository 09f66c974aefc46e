"""Every route is called with what the OpenAPI document allows and with what it does not: none of
it is an error of the service, and what it answers is what the document says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import response_schema_conformance
from support.listening import listening

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NO_HTTP = "Invalid HTTP request received."
"""What the server says, before the service hears of it."""
OPENAI_ERROR = {"message", "type", "param", "code"}
NOTES = [
    {"_id": str(n), "title": f"Note {n}", "text": f"Note {n} is of tea.", "metadata": {"year": n}}
    for n in range(5)
]


@dataclass
class Service:
    """A service with something of everything in it, and what became of the calls."""

    url: str
    schema: Any
    known: dict[str, list[str]]
    """Of each name of a parameter, values that lead to something."""
    statuses: Counter[int] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def call(self, case: Any, known: bool) -> None:
        """Call it, with values that are there where `known`."""
        if known:
            self._lead_somewhere(case)
        answer = case.call(base_url=self.url, timeout=60)
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500 or not self._is_described(case, answer):
            said = f"{answer.status_code} {answer.text[:300]}\n{case.as_curl_command()[:600]}"
            self.failed.setdefault(case.operation.label, said)

    def _lead_somewhere(self, case: Any) -> None:
        for given_ in (case.path_parameters, case.query, case.body):
            if isinstance(given_, dict):
                for name in given_.keys() & self.known.keys():
                    given_[name] = self.known[name][0]

    def _is_described(self, case: Any, answer: Any) -> bool:
        if answer.text == NO_HTTP:
            return True
        try:
            case.validate_response(answer, checks=[response_schema_conformance])
        except FailureGroup:
            return False
        return answer.status_code < 400 or answer.json()["error"].keys() >= OPENAI_ERROR


@pytest.fixture
def service(rag: RagPipeline) -> Iterator[Service]:
    rag.ingest_records(NOTES, source="notes")
    prompt_id = rag.ask("What is note 3?").prompt_id
    kept = rag.uploads.put("a.txt", b"Tea.", purpose="assistants", media_type="text/plain")
    app = create_app(rag)
    known = {
        "prompt_id": [prompt_id],
        "run_id": [rag.browse.runs(limit=1)[0].run_id],
        "document_id": ["1"],
        "file_id": [kept.file_id],
        "vector_store_id": ["vs_default"],
        "collection": ["default"],
        "model": ["default"],
        "name": ["default"],
    }
    with listening(app) as url:
        yield Service(url, schemathesis.openapi.from_dict(app.openapi()), known)


def exercise(service: Service, cases_each: int) -> None:
    """Call every operation so often, half of it with what it does not allow."""
    for found in service.schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            calls = given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())(
                service.call
            )
            try:
                seed(7)(
                    settings(
                        max_examples=cases_each,
                        database=None,
                        phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    )(calls)
                )()
            except Unsatisfiable:
                continue  # there is nothing that it does not allow


def test_no_call_is_an_error_of_the_service(service: Service) -> None:
    exercise(service, 2)
    assert service.failed == {}
    assert service.statuses.total() > 90
    assert service.statuses[200] > 20


@pytest.mark.slow
def test_none_of_thousands_of_calls_is_an_error_of_the_service(service: Service) -> None:
    exercise(service, 100)
    assert service.failed == {}
    assert service.statuses.total() > 5_000
