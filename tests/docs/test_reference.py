"""The reference is what the code says of itself, and every command explains itself."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from rag_pipeline.cli.main import cli
from rag_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
GENERATOR = runpy.run_path(str(REFERENCE / "generate.py"))
PATHS: list[list[str]] = list(GENERATOR["command_paths"]())
help_of: Callable[[list[str]], str] = GENERATOR["help_of"]


def _command(path: list[str]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def _leaves() -> list[list[str]]:
    return [path for path in PATHS if not isinstance(_command(path), click.Group)]


def test_the_generated_parts_are_up_to_date() -> None:
    pytest.importorskip("cogapp", reason="the generated parts are checked where cog is installed")
    pages = ["docs/reference/cli.md", "docs/reference/settings.md"]
    checked = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", *pages],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, f"run `make docs`\n{checked.stdout}{checked.stderr}"


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_help_and_a_place_in_the_reference(path: list[str]) -> None:
    assert (_command(path).help or "").strip()
    page = (REFERENCE / "cli.md").read_text("utf-8")
    assert f"\n## {' '.join(['rag', *path])}\n\n```text\n{help_of(path)}```\n" in page


@pytest.mark.parametrize("path", _leaves(), ids=" ".join)
def test_every_command_shows_an_example_of_itself(path: list[str]) -> None:
    _, found, example = help_of(path).partition("Example:\n")
    assert found
    assert example.lstrip().startswith(" ".join(["rag", *path]))


@pytest.mark.parametrize("path", _leaves(), ids=" ".join)
def test_no_line_of_help_is_wider_than_a_terminal_of_100(path: list[str]) -> None:
    assert max(map(len, help_of(path).splitlines())) <= 100


def variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{variable}__")
        else:
            yield variable


def test_every_setting_is_in_the_reference_with_its_variable() -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    assert [name for name in variables(Settings, "RAG_") if f"| `{name}` |" not in page] == []
