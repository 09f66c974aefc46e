"""A model on a real MLflow server: published once, with all that is said of it, and fetched again.

The server is the program `mlflow` of the search path, on SQLite and on this machine alone.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.pipelines import word_pipeline
from support.versions import damage, write_model

from rag_pipeline.versions.errors import RegistryError
from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError
from storage.errors import InvalidRecordError

_STARTS_WITHIN_S = 120
# The client warns of its own use of what will change in other packages.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _has_server() -> bool:
    """Whether the program is there with its server, which `mlflow-skinny` leaves out."""
    program = shutil.which("mlflow")
    if program is None:
        return False
    asked = [Path(program).with_name("python"), "-c", "import flask, mlflow.server"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("mlflow")
    if not _has_server():
        pytest.skip("there is no program `mlflow` with a server; pip install mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_a_version_is_published_once_with_what_is_said_of_it_and_comes_back_by_its_link(
    server: str, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    with word_pipeline(tmp_path / "home") as rag:
        data = rag.parts.versions.add_dataset("d", kind="triples", manifest={}, sha256="a" * 64)
        added = rag.models.register(
            "tuned",
            write_model(tmp_path / "m1"),
            kind="embedder",
            base="minilm",
            dataset=data,
            parameters={"rate": 2e-5, "note": "x" * 10_000},
            metrics={"ndcg": {"before": 0.5, "after": 0.625}, "kept": True, "words": "many"},
            seed=3,
        )
        link = rag.models.publish("tuned@1", server)
        assert link == f"mlflow+{server}#models:/tuned/1"
        rag.models.activate("tuned", 1)
        assert rag.models.publish("tuned@1", server) == link
    client = MlflowClient(server, server)
    (published,) = client.search_model_versions("name='tuned'")
    assert published.tags["rag.sha256"] == added.sha256
    assert published.tags["rag.trained_on"] == "d@1"
    run = client.get_run(published.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rate"] == "2e-05"
    assert run.data.params["seed"] == "3"
    assert run.data.metrics == {"ndcg.before": 0.5, "ndcg.after": 0.625, "kept": 1.0}
    for alias in ("rag-1", "active"):
        assert client.get_model_version_by_alias("tuned", alias).version == published.version
    with word_pipeline(tmp_path / "elsewhere") as other:
        pulled = other.models.register_link(
            "tuned", link, kind="embedder", sha256=added.weights_sha256
        )
        assert (pulled.sha256, pulled.storage) == (added.sha256, "link")
        by_alias = link.replace("/tuned/1", "/tuned@active")
        assert other.models.register_link("again", by_alias, kind="embedder").sha256 == added.sha256
        folder = other.parts.versions.folders.of(pulled)
        damage(folder / "model.safetensors")
        assert other.models.activate("tuned", 1).state == "active"
        assert (folder / "1_Pooling" / "config.json").read_text() == '{"mean": true}'
        with pytest.raises(InvalidRecordError, match="fetch them again"):
            other.models.register_link("third", link, kind="embedder", sha256="0" * 64)


def test_what_was_changed_on_the_server_is_not_used(server: str, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    with word_pipeline(tmp_path / "home") as rag:
        rag.models.register("swapped", write_model(tmp_path / "m1", "1"), kind="embedder")
        link = rag.models.publish("swapped@1", server)
    with word_pipeline(tmp_path / "elsewhere") as other:
        pulled = other.models.register_link("swapped", link, kind="embedder")
        client = MlflowClient(server, server)
        run_id = client.get_model_version("swapped", "1").run_id
        evil = write_model(tmp_path / "m2", "2")
        client.log_artifact(run_id, str(evil / "model.safetensors"), "model")
        shutil.rmtree(other.parts.versions.folders.of(pulled))
        with pytest.raises(WeightsDamagedError, match="does not hold version:swapped@1"):
            other.models.activate("swapped", 1)
        client.delete_model_version("swapped", "1")
        with pytest.raises(WeightsMissingError):
            other.models.activate("swapped", 1)
        assert other.parts.versions.active("swapped") is None


def test_a_server_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with word_pipeline(tmp_path / "home") as rag:
        rag.models.register("m", write_model(tmp_path / "m1"), kind="embedder")
        with pytest.raises(RegistryError, match="did not do it"):
            rag.models.publish("m@1", "http://127.0.0.1:1")
        with pytest.raises(RegistryError, match="is no MLflow server"):
            rag.models.publish("m@1", "sqlite:///x.db")
        with pytest.raises(WeightsMissingError):
            rag.models.register_link("n", "mlflow+http://127.0.0.1:1#models:/m/1", kind="embedder")
        with pytest.raises(RegistryError, match="names no model"):
            rag.models.register_link("n", "mlflow+http://127.0.0.1:1#x", kind="embedder")


def test_mlflow_is_not_imported_before_it_is_used() -> None:
    program = (
        "import sys\n"
        "import rag_pipeline.versions.model_registry, rag_pipeline.versions.dataset_registry\n"
        "assert not {'mlflow', 'dvc', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ})
