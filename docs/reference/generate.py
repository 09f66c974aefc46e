"""What the reference says of commands and settings, taken from the code itself.

The reference pages hold cog blocks that call this module; `make docs` writes them anew.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import click
from click.testing import CliRunner
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rag_pipeline.cli.main import cli
from rag_pipeline.settings import Settings

_WIDTH = 100
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def command_paths(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The words that lead to each command, groups included; the program itself is empty."""
    yield list(path)
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from command_paths(inner, (*path, name))


def command_pages() -> Iterator[str]:
    """A heading and the help of each command, in Markdown."""
    for path in command_paths():
        yield f"## {' '.join(['rag', *path])}\n"
        yield f"```text\n{help_of(path)}```\n"


def help_of(path: list[str]) -> str:
    """What `rag … --help` prints."""
    asked = [*path, "--help"]
    return CliRunner().invoke(cli, asked, prog_name="rag", terminal_width=_WIDTH).stdout


def settings_pages() -> Iterator[str]:
    """A table of the settings that stand by themselves, then one for each section."""
    yield from _pages(Settings, ())


def _pages(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    fields = model.model_fields.items()
    sections = {name: section for name, field in fields if (section := _section(field))}
    yield from _table(model, path, {*model.model_fields} - {*sections})
    for name, section in sections.items():
        yield f"\n## [{'.'.join((*path, name))}]\n"
        yield f"{_first_line(section)}\n"
        yield from _pages(section, (*path, name))


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(model: type[BaseModel], path: tuple[str, ...], names: set[str]) -> Iterator[str]:
    docs = attribute_docs(model)
    yield "| name | variable | values | default | meaning |"
    yield "|---|---|---|---|---|"
    for name, field in model.model_fields.items():
        if name in names:
            variable = "__".join((*path, name)).upper()
            cells = (f"`{name}`", f"`RAG_{variable}`", _values(field), _default(field))
            yield f"| {' | '.join(cells)} | {docs.get(name, '')} |"


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """The string that stands below each attribute of a class, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        match statement, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                docs[name] = " ".join(said.split())
    return docs


def _first_line(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").split("\n\n")[0].replace("\n", " ")


def _values(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(limit, key):g}"
        for limit in field.metadata
        for key, sign in _SIGNS.items()
        if hasattr(limit, key)
    ]
    return " ".join([_kind(field.annotation), *limits])


def _kind(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)] or [annotation]
    return {"Path": "path", "str": "text"}.get(_name(kinds[0]), _name(kinds[0]))


def _name(annotation: object) -> str:
    return getattr(annotation, "__name__", str(annotation))


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        said = inspect.getdoc(field.default_factory) or ""
        return said[:1].lower() + said[1:].rstrip(".")
    return "none" if field.default is None else f"`{field.default}`"
