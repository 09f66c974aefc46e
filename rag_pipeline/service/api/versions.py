"""`/api/models/versions` and `/api/datasets/versions`: what was registered; an owner's to know."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag_pipeline.service.api.asking import NameQuery, Text, Turn
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.versions.as_json import activations_json, dataset_json, model_json
from rag_pipeline.versions.lineage import dataset_lineage
from storage.versions.values import (
    Action,
    DatasetRole,
    ModelKind,
    ModelState,
    ModelStorage,
)

router = APIRouter(prefix="/api", tags=["versions"], dependencies=[Turn])
Reference = Annotated[Text, Path(max_length=200)]


class ModelFile(BaseModel):
    """A file of a model."""

    sha256: str
    size_bytes: int


class UsedDataset(BaseModel):
    """A data set, and what it was used for."""

    role: DatasetRole
    dataset: str


class Model(BaseModel):
    """One version of a model."""

    name: str
    version: int
    reference: str
    """As settings name it: version:NAME@N."""
    kind: ModelKind
    state: ModelState
    base: str | None
    storage: ModelStorage
    location: str | None
    sha256: str
    weights_sha256: str
    size_bytes: int
    files: dict[str, ModelFile]
    datasets: list[UsedDataset]
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    seed: int | None
    code_version: str
    created_at: datetime


class Activation(BaseModel):
    """That a version became the active one; none where `version` is null."""

    version: int | None
    action: Action
    user: str
    reason: str
    created_at: datetime


class WholeModel(Model):
    """One version, with when it was active and what it comes from."""

    activations: list[Activation]
    lineage: dict[str, Any]


class Models(BaseModel):
    """Versions, newest first."""

    items: list[Model]


class Dataset(BaseModel):
    """One version of a data set."""

    name: str
    version: int
    reference: str
    kind: str
    sha256: str
    location: str | None
    manifest: dict[str, Any]
    metadata: dict[str, Any]
    created_at: datetime


class WholeDataset(Dataset):
    """One version, with what it comes from."""

    lineage: dict[str, Any]


class Datasets(BaseModel):
    """Versions, newest first."""

    items: list[Dataset]


@router.get("/models/versions", response_model=Models)
def list_models(rag: Rag, name: NameQuery = None, kind: ModelKind | None = None) -> JSONResponse:
    """List registered models, newest first."""
    found = rag.models.list(name=name, kind=kind)
    return JSONResponse({"items": [model_json(model) for model in found]})


@router.get("/models/versions/{reference}", response_model=WholeModel)
def show_model(reference: Reference, rag: Rag) -> JSONResponse:
    """Show NAME@N, or the active version of NAME."""
    model = rag.models.show(reference)
    return JSONResponse(
        {
            **model_json(model),
            "activations": activations_json(rag.models.activations(model.name)),
            "lineage": rag.models.lineage(model.reference).as_json(),
        }
    )


@router.get("/datasets/versions", response_model=Datasets)
def list_datasets(rag: Rag, name: NameQuery = None, kind: NameQuery = None) -> JSONResponse:
    """List registered data sets, newest first."""
    found = rag.datasets.list(name=name, kind=kind)
    return JSONResponse({"items": [dataset_json(dataset) for dataset in found]})


@router.get("/datasets/versions/{reference}", response_model=WholeDataset)
def show_dataset(reference: Reference, rag: Rag) -> JSONResponse:
    """Show NAME@N, or the newest version of NAME."""
    dataset = rag.datasets.show(reference)
    tree = dataset_lineage(dataset, rag.parts.versions)
    return JSONResponse({**dataset_json(dataset), "lineage": tree.as_json()})
