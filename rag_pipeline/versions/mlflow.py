"""Models on an MLflow server: put there with what is said of them, and fetched again.

MLflow's client is imported when it is used, and told to report nothing about its use to anybody.
A published model is found again by the SHA-256 over its files, which stands beside it as a tag.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag_pipeline.versions.errors import RegistryError
from rag_pipeline.versions.links import MLFLOW
from rag_pipeline.weights.errors import WeightsMissingError
from storage.versions.values import ModelVersion

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Published
    from mlflow.tracking import MlflowClient

EXPERIMENT = "rag-pipeline-service"
ACTIVE = "active"
_SHA256 = "rag.sha256"
_FOLDER = "model"
_SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
_PLACE = re.compile(r"[^/@:]+(/\d+|@[\w-]+)")
_READY_WITHIN_S = 60
_LONGEST = 500
"""Characters of a parameter that MLflow takes from every version on."""


def publish(model: ModelVersion, folder: Path, server: str) -> str:
    """Record a run with parameters, metrics and the files, and a version in the registry; its link.

    The version carries the alias `rag-N`, and `active` while ours is. What has been published
    before is only given its aliases. Raises `RegistryError`.
    """
    with _client(server) as client:
        published = _found(client, model) or _published(client, model, folder)
        number = str(published.version)
        client.set_registered_model_alias(model.name, f"rag-{model.version}", number)
        if model.state == "active":
            client.set_registered_model_alias(model.name, ACTIVE, number)
        return f"{MLFLOW}{server.rstrip('/')}#models:/{model.name}/{number}"


def check_server(server: str) -> None:
    """Raise `RegistryError` for what can't be a server, and without MLflow's client. Nobody is
    asked."""
    with _client(server):
        pass


def download(link: str, into: Path) -> Path:
    """The folder of files that such a link leads to.

    Raises `WeightsMissingError` where they are gone, `RegistryError` without MLflow's client.
    """
    server, _, place = link.removeprefix(MLFLOW).partition("#models:/")
    if not _PLACE.fullmatch(place):
        raise RegistryError(
            f"{link[:200]!r} names no model of an MLflow server; give"
            f" {MLFLOW}http://host:5000#models:/NAME/1, or @ALIAS in place of /1"
        )
    try:
        with _client(server) as client:
            published = _at(client, place)
            # The client warns of a folder that is not there, and so does not make one.
            into.mkdir(parents=True, exist_ok=True)
            return Path(client.download_artifacts(str(published.run_id), _FOLDER, str(into)))
    except RegistryError as error:
        if not _is_installed():
            raise
        raise WeightsMissingError(
            f"The model behind {link} can't be fetched ({error}): check the link and the server,"
            " or activate another version."
        ) from error


def _at(client: "MlflowClient", place: str) -> "Published":
    """What NAME/1 or NAME@ALIAS means there."""
    if "@" in place:
        name, _, alias = place.rpartition("@")
        return client.get_model_version_by_alias(name, alias)
    name, _, number = place.rpartition("/")
    return client.get_model_version(name, number)


def _published(client: "MlflowClient", model: ModelVersion, folder: Path) -> "Published":
    run = client.create_run(_experiment(client), run_name=model.reference, tags=_tags(model))
    run_id = run.info.run_id
    try:
        for key, value in _parameters(model).items():
            client.log_param(run_id, key, value)
        for name, number in _metrics(model.metrics):
            client.log_metric(run_id, name, number)
        client.log_artifacts(run_id, str(folder), _FOLDER)
        _registered_name(client, model.name)
        published = client.create_model_version(
            model.name,
            source=f"runs:/{run_id}/{_FOLDER}",
            run_id=run_id,
            tags=_tags(model),
            await_creation_for=_READY_WITHIN_S,
        )
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return published


def _experiment(client: "MlflowClient") -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    return str(client.create_experiment(EXPERIMENT) if known is None else known.experiment_id)


def _registered_name(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _found(client: "MlflowClient", model: ModelVersion) -> "Published | None":
    """What was published with the same files."""
    for published in client.search_model_versions(f"name='{model.name}'"):
        if published.tags.get(_SHA256) == model.sha256:
            return published
    return None


def _tags(model: ModelVersion) -> dict[str, str]:
    said = {
        _SHA256: model.sha256,
        "rag.weights_sha256": model.weights_sha256,
        "rag.version": model.reference,
        "rag.kind": model.kind,
        "rag.code_version": model.code_version,
        "rag.base": model.base or "",
    }
    # Of several the newest, which stands first.
    return said | {f"rag.{role}": reference for role, reference in reversed(model.datasets)}


def _parameters(model: ModelVersion) -> Mapping[str, str]:
    given = dict(model.parameters) | ({} if model.seed is None else {"seed": model.seed})
    return {key: str(value)[:_LONGEST] for key, value in given.items()}


def _metrics(given: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Numbers by name; those inside others under both names. What is no number is no metric."""
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _metrics(value, f"{before}{key}.")
        elif isinstance(value, int | float):
            yield f"{before}{key}", float(value)


@contextmanager
def _client(server: str) -> Iterator["MlflowClient"]:
    """A client of that server; what it raises is `RegistryError`."""
    if urlsplit(server).scheme not in ("http", "https"):
        raise RegistryError(
            f"{server[:120]!r} is no MLflow server; give its address, such as http://host:5000"
        )
    _be_silent()
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise RegistryError(
            "MLflow's client is not installed: run pip install 'rag-pipeline-service[mlflow]'"
        ) from error
    try:
        yield MlflowClient(tracking_uri=server, registry_uri=server)
    except (MlflowException, OSError) as error:
        said = " ".join(str(error).split())
        raise RegistryError(f"the MLflow server {server} did not do it: {said[:300]}") from error


def _be_silent() -> None:
    """Its settings are variables of the environment, read when it is imported."""
    os.environ.update(_SILENT)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)


def _is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("mlflow") is not None
