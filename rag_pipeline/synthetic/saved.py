"""A generator as two files: weights and tables as safetensors, all else as JSON. No pickle.

The JSON says which method it is, of a list that is fixed, and the SHA-256 of the tensors' file,
which is read only if it has that.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.numpy import load, save

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Generator
from rag_pipeline.synthetic.methods import method

Model = TypeVar("Model", bound=Generator)

FORM = 2
ABOUT, TENSORS = "model.json", "model.safetensors"
_UNFIT = (SafetensorError, SyntheticError, LookupError, TypeError, ValueError, RuntimeError)


def save_generator(model: Generator, folder: Path) -> str:
    """Write it to a folder, and give the SHA-256 of its tensors."""
    tensors = save(dict(model.arrays()))
    sha256 = hashlib.sha256(tensors).hexdigest()
    about = {"form": FORM, "method": model.method, "sha256": sha256, **model.about()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TENSORS).write_bytes(tensors)
    (folder / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")
    return sha256


def load_generator(folder: Path) -> Generator:
    """What was saved there. Raises `ModelFileError` for what is damaged, foreign or of another
    form."""
    return load_model(folder, method)


def load_model(folder: Path, class_of: Callable[[str], type[Model]]) -> Model:
    """The same for other lists of methods: `class_of` gives the class of a name, or raises
    `SyntheticError`."""
    try:
        about: object = json.loads((folder / ABOUT).read_text("utf-8"))
        tensors = (folder / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{folder} holds no generator that can be read: {error}") from error
    if not isinstance(about, dict) or about.get("form") != FORM:
        raise ModelFileError(f"{folder / ABOUT} is of another form; fit the generator anew")
    if hashlib.sha256(tensors).hexdigest() != about.get("sha256"):
        raise ModelFileError(
            f"{folder / TENSORS} is not the file that {ABOUT} names; copy both again"
        )
    try:
        return class_of(str(about.get("method"))).restored(about, load(tensors))
    except _UNFIT as error:
        raise ModelFileError(f"{folder} does not fit together: {error}") from error
