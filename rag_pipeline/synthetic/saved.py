"""A generator as two files: weights and tables as safetensors, all else as JSON. No pickle.

The JSON says which class it is, of a list that is fixed, and the SHA-256 of the tensors' file,
which is read only if it has that.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rag_pipeline.synthetic.autoregressive import Autoregressive, Network, Size
from rag_pipeline.synthetic.coding import Codec, NameCodec, NumberCodec
from rag_pipeline.synthetic.errors import ModelFileError, TableError
from rag_pipeline.synthetic.table import Column, Schema

FORM = 1
ABOUT, TENSORS = "model.json", "model.safetensors"
_METHOD = "autoregressive"
_CODECS: Mapping[str, type[NumberCodec] | type[NameCodec]] = {
    "number": NumberCodec,
    "name": NameCodec,
}


def save_generator(model: Autoregressive, folder: Path) -> str:
    """Write it to a folder, and give the SHA-256 of its tensors."""
    weights = {
        f"network.{name}": weight.numpy() for name, weight in model.network.state_dict().items()
    }
    tables = {
        f"codec.{number}.{name}": np.ascontiguousarray(array)
        for number, codec in enumerate(model.codecs.values())
        for name, array in codec.arrays().items()
    }
    tensors = save(weights | tables)
    about = {
        "form": FORM,
        "method": _METHOD,
        "sha256": hashlib.sha256(tensors).hexdigest(),
        "codecs": [[name, _kind(codec)] for name, codec in model.codecs.items()],
        **model.parameters(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TENSORS).write_bytes(tensors)
    (folder / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")
    return str(about["sha256"])


def _kind(codec: Codec) -> str:
    return "number" if isinstance(codec, NumberCodec) else "name"


def load_generator(folder: Path) -> Autoregressive:
    """What was saved there. Raises `ModelFileError` for what is damaged, foreign or of another
    form."""
    try:
        about: object = json.loads((folder / ABOUT).read_text("utf-8"))
        tensors = (folder / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{folder} holds no generator that can be read: {error}") from error
    if not isinstance(about, dict) or (about.get("form"), about.get("method")) != (FORM, _METHOD):
        raise ModelFileError(f"{folder / ABOUT} is of another form; fit the generator anew")
    if hashlib.sha256(tensors).hexdigest() != about.get("sha256"):
        raise ModelFileError(
            f"{folder / TENSORS} is not the file that {ABOUT} names; copy both again"
        )
    try:
        return _made(about, load(tensors))
    except (SafetensorError, TableError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{folder} does not fit together: {error}") from error


def _made(about: Mapping[str, Any], tensors: Mapping[str, Any]) -> Autoregressive:
    schema = Schema(columns=tuple(Column(**column) for column in about["schema"]))
    codecs: dict[str, Codec] = {
        name: _CODECS[kind].from_arrays(_under(f"codec.{number}.", tensors))
        for number, (name, kind) in enumerate(about["codecs"])
    }
    size = Size(**about["size"])
    network = Network([*codecs.values()], size)
    weights = _under("network.", tensors)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return Autoregressive(schema=schema, codecs=codecs, network=network.eval(), size=size)


def _under(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
