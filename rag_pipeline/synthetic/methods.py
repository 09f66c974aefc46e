"""The methods there are, by the kind of data that they learn. Nothing is imported until used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Generator

_CLASSES: Mapping[str, str] = {
    "table/autoregressive": "rag_pipeline.synthetic.tables.autoregressive:Autoregressive",
}
DEFAULT_OF: Mapping[str, str] = {"table": "table/autoregressive"}
"""By kind of data."""


def methods(kind: str | None = None) -> tuple[str, ...]:
    """The names of all methods, or of those for a kind of data: table, series, image."""
    return tuple(name for name in _CLASSES if kind is None or name.startswith(f"{kind}/"))


def method(name: str) -> type[Generator]:
    """The class of that name. Raises `SyntheticError` for a name that is not in the list."""
    if name not in _CLASSES:
        raise SyntheticError(f"there is no method {name!r}; there are {', '.join(_CLASSES)}")
    module, _, name_there = _CLASSES[name].partition(":")
    return cast("type[Generator]", getattr(import_module(module), name_there))


def settings_of(name: str, given: Mapping[str, Any]) -> Any:
    """The settings of that method, with what is given in place of its defaults.

    Raises `SyntheticError` for a name or a value that it has no use for.
    """
    module = import_module(method(name).__module__)
    try:
        return module.Settings(**given)
    except TypeError as error:
        raise SyntheticError(f"{name} can't be set so: {error}") from error
