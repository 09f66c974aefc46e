"""A trained encoder as a folder of its own: the base's files, with other weights."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_KEPT = frozenset({".json", ".txt", ".model", ".safetensors"})
_WEIGHTS = "model.safetensors"
_TRANSFORMER = "0.model"
"""Where sentence-transformers has it."""
_OTHER_RUNTIMES = frozenset({"onnx", "openvino"})


def write_encoder(encoder: "SentenceTransformer", base: Path, folder: Path) -> None:
    """Fill `folder`, which is empty, with a model that is read as `base` is.

    What says how texts are read stays as it was, byte by byte; weights that were not trained, as
    of layers behind the transformer, too.
    """
    from safetensors.torch import save_file

    for file in sorted(base.rglob("*")):
        to = folder / file.relative_to(base)
        if file.is_file() and _is_kept(file, base):
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
    transformer = encoder.get_submodule(_TRANSFORMER)
    parameters = dict(transformer.named_parameters())
    weights = {
        name: weight.detach().contiguous()
        for name, weight in transformer.state_dict().items()
        if name in parameters
    }
    save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})


def _is_kept(file: Path, base: Path) -> bool:
    parts = file.relative_to(base).parts
    is_weights = len(parts) == 1 and (
        file.suffix == ".safetensors" or file.name.endswith(".safetensors.index.json")
    )
    return file.suffix in _KEPT and not is_weights and not _OTHER_RUNTIMES & {*parts}
