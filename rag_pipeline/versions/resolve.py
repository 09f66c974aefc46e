"""`version:NAME` and `version:NAME@3`, where settings name a model."""

from pathlib import Path, PurePosixPath

from rag_pipeline.errors import SettingsError
from rag_pipeline.versions.links import fetched
from rag_pipeline.weights.errors import WeightsDamagedError
from rag_pipeline.weights.store import GGUF, ResolvedModel, WeightStore
from storage.errors import SealError
from storage.versions.registry import Versions
from storage.versions.values import REFERENCE_PREFIX, ModelKind, ModelVersion


def is_reference(name: str) -> bool:
    """Whether a setting names a registered version."""
    return name.startswith(REFERENCE_PREFIX)


def resolve_version(
    reference: str, kind: ModelKind, versions: Versions, weights: WeightStore
) -> ResolvedModel:
    """The files of that version, or of the active one, each checked by its hash.

    As for packaged models, files that kept size and time of change since they were last read are
    not read again. Raises `NotFoundError` for an unknown version or where none is active,
    `SettingsError` for a model of another kind, `WeightsDamagedError`, and `WeightsMissingError`
    for a link that is gone.
    """
    model = versions.model(reference)
    if model.kind != kind:
        raise SettingsError(
            f"{model.reference} is a {model.kind} and can't be used as {kind}; set another, such as"
            " one that `rag models versions` lists"
        )
    folder = checked_folder(model, versions, weights)
    return ResolvedModel(
        name=model.reference,
        folder=folder,
        weights_sha256=model.weights_sha256,
        gguf=_only_gguf(model, folder),
    )


def checked_folder(model: ModelVersion, versions: Versions, weights: WeightStore) -> Path:
    """The files of a version on this machine, whole; what is behind a link is fetched once.

    Raises `WeightsDamagedError`, `WeightsMissingError`.
    """
    digest = weights.digests.digest
    try:
        if model.storage == "link" and not versions.folders.is_whole(model, digest):
            with fetched(str(model.location)) as found:
                versions.folders.keep(model, found)
        return versions.folders.checked(model, digest)
    except SealError as error:
        raise WeightsDamagedError(f"{error}.") from error


def _only_gguf(model: ModelVersion, folder: Path) -> Path | None:
    """The weights, where they are in one file of that form."""
    weights = [name for name in model.files if PurePosixPath(name).suffix == GGUF]
    others = [name for name in model.files if PurePosixPath(name).suffix == ".safetensors"]
    return folder / weights[0] if len(weights) == 1 and not others else None
