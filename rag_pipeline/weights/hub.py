"""Fetching a model from the Hugging Face hub, which happens only if the user names one there."""

from fnmatch import fnmatch
from pathlib import Path

from rag_pipeline.weights.errors import WeightsMissingError

# Weights are safetensors, settings are JSON: neither pickled weights nor code are ever fetched.
_WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


def hub_snapshot(name: str, cache: Path) -> Path:
    """The folder of `org/model`: what `cache` holds whole, or else fetched from the hub.

    A model that was fetched once is never asked for again, so it stays at that revision.
    """
    from huggingface_hub import snapshot_download

    # The hub's own cache can't tell a whole snapshot from one whose download was cut off.
    whole = cache / f"{name.replace('/', '--')}.revision"
    if not whole.exists():
        revision = _fetch(name, cache)
        whole.write_text(revision, "utf-8")
    revision = whole.read_text("utf-8")
    return Path(snapshot_download(name, revision=revision, cache_dir=cache, local_files_only=True))


def _fetch(name: str, cache: Path) -> str:
    """Download every wanted file of the newest revision, and say which revision that is."""
    from huggingface_hub import HfApi, hf_hub_download

    try:
        model = HfApi().model_info(name)
        for file in model.siblings or []:
            if any(fnmatch(file.rfilename, pattern) for pattern in _WANTED):
                hf_hub_download(name, file.rfilename, revision=model.sha, cache_dir=cache)
    # The errors of a failed request belong to the hub's HTTP library, which changes with versions.
    except Exception as error:
        raise WeightsMissingError(
            f"The weights of {name!r} are not on this machine and the hub did not give them "
            f"({type(error).__name__}): check the name and the network, or name a local folder."
        ) from error
    return str(model.sha)
