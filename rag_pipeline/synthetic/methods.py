"""The methods there are, by the kind of data that they learn. Nothing is imported until used."""

from collections.abc import Mapping
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Generator
from rag_pipeline.synthetic.tables.table import Table

_CLASSES: Mapping[str, str] = {
    "table/autoregressive": "rag_pipeline.synthetic.tables.autoregressive:Autoregressive",
    "table/diffusion": "rag_pipeline.synthetic.tables.diffusion:Diffusion",
    "table/vae": "rag_pipeline.synthetic.tables.vae:Vae",
    "table/energy": "rag_pipeline.synthetic.tables.energy:Energy",
    "table/constrained": "rag_pipeline.synthetic.tables.constrained:Constrained",
    "table/gan": "rag_pipeline.synthetic.tables.gan:Gan",
    "table/flow": "rag_pipeline.synthetic.tables.flow:Flow",
    "series/recurrent": "rag_pipeline.synthetic.series.recurrent:Recurrent",
    "image/diffusion": "rag_pipeline.synthetic.images.diffusion:Diffusion",
    "image/vae": "rag_pipeline.synthetic.images.vae:Vae",
    "image/gan": "rag_pipeline.synthetic.images.gan:Gan",
}
DEFAULT_OF: Mapping[str, str] = {
    "table": "table/autoregressive",
    "series": "series/recurrent",
    "image": "image/diffusion",
}
"""By kind of data."""
_OF_NUMBERS = "table/flow"
"""Better where most columns are numbers (`benchmarks/synthetic.py`), unless records are so few that
it learns them by heart."""
_FEWEST_OF_NUMBERS = 2_000
_CODES = 20
"""Numbers of no more values than that may as well be names."""


def methods(kind: str | None = None) -> tuple[str, ...]:
    """The names of all methods, or of those for a kind of data: table, series, image."""
    return tuple(name for name in _CLASSES if kind is None or name.startswith(f"{kind}/"))


def method(name: str) -> type[Generator]:
    """The class of that name. Raises `SyntheticError` for a name that is not in the list."""
    if name not in _CLASSES:
        raise SyntheticError(f"there is no method {name!r}; there are {', '.join(_CLASSES)}")
    module, _, name_there = _CLASSES[name].partition(":")
    return cast("type[Generator]", getattr(import_module(module), name_there))


def default_method(kind: str, training: Table) -> str:
    """What learns those records best, as far as can be told without trying."""
    if kind != "table" or len(training) < _FEWEST_OF_NUMBERS:
        return DEFAULT_OF[kind]
    learnt = [column for column in training.schema.columns if column.is_learnt]
    numbers = [
        column
        for column in learnt
        if column.is_numeric and len(np.unique(training.values[column.name])) > _CODES
    ]
    return _OF_NUMBERS if 2 * len(numbers) > len(learnt) else DEFAULT_OF[kind]


def settings_of(name: str, given: Mapping[str, Any]) -> Any:
    """The settings of that method, with what is given in place of its defaults.

    Raises `SyntheticError` for a name or a value that it has no use for.
    """
    module = import_module(method(name).__module__)
    types = get_type_hints(module.Settings)
    for key, value in given.items():
        if key not in types:
            raise SyntheticError(f"{name} has no setting {key!r}; it has {', '.join(types)}")
        if not _fits(value, types[key]):
            raise SyntheticError(f"{name} can't have {key} = {value!r}: that is of another type")
    try:
        return module.Settings(**given)
    except TypeError as error:
        raise SyntheticError(f"{name} needs more settings: {error}") from error


def _fits(value: object, wanted: Any) -> bool:
    """Whether a JSON scalar is of that type; a whole number is also a number, and what is no scalar
    is for the settings themselves to check."""
    origin = get_origin(wanted)
    if origin is Literal:
        return value in get_args(wanted)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(wanted))
    return origin is not None or type(value) is wanted or (type(value) is int and wanted is float)
