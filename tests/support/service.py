"""The service over a pipeline, called in the test process by whoever a test says."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.testclient import TestClient

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from rag_pipeline.service.dependencies import principal
from storage.records import LOCAL_OWNER, Principal

HERE = ("127.0.0.1", 50_000)


class Callers:
    """Gives a client of one service for each principal."""

    def __init__(self, rag: RagPipeline) -> None:
        self._app = create_app(rag)
        self._who = LOCAL_OWNER
        self._app.dependency_overrides[principal] = lambda: self._who
        self.client = TestClient(self._app, base_url="http://127.0.0.1", client=HERE)

    def by(self, who: Principal) -> TestClient:
        """The client; from now on it calls as `who`."""
        self._who = who
        return self.client


@contextmanager
def called(rag: RagPipeline) -> Iterator[Callers]:
    """The service over `rag`, started."""
    callers = Callers(rag)
    with callers.client:
        yield callers
