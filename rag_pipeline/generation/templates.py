"""Prompt templates by name: those of the database, and the one that this program came with."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.errors import TemplateError
from rag_pipeline.generation.prompt import DEFAULT_TEMPLATE, LEAD_IN, SYSTEM, USER, Template
from storage.engine import Database
from storage.errors import NotFoundError
from storage.prompts.templates import StoredTemplate, Templates, TemplateText

DEFAULT = "default"
DEFAULT_TEXT = TemplateText(system=SYSTEM, question=USER, lead_in=LEAD_IN)
MAX_FILE = 1_000_000
"""Bytes."""
_NAME = re.compile(r"[\w.+-]{1,100}")
_REFERENCE = re.compile(r"(?P<name>[^@]+)(?:@(?P<version>[1-9]\d{0,8}))?")
_DOUBLED = re.compile(r"\{\{\s*(?P<name>\w*)\s*\}\}")
_PLACEHOLDER = re.compile(r"\{(?P<name>[^\W\d]\w*)\}")
_PLACES = ("text", "question")
_PARTS = ("system", "question", "lead_in")


@dataclass(frozen=True, slots=True)
class PromptTemplates:
    """What answers may be asked for with."""

    database: Database

    def add(self, name: str, text: TemplateText) -> StoredTemplate:
        """The newest version under `name`; no new one if it says just this.

        Raises `TemplateError`.
        """
        if name == DEFAULT or not _NAME.fullmatch(name):
            raise TemplateError(
                f"a template can't be called {name!r}; use letters, digits, '.', '-' and '_', and"
                f" not {DEFAULT!r}, which this program came with"
            )
        return Templates(self.database).add(name, checked(text))

    def all(self) -> list[StoredTemplate]:
        """Every version of every template that was added, by name, the newest first."""
        return [*Templates(self.database).all()]

    def stored(self, reference: str) -> StoredTemplate:
        """The version that NAME@VERSION is, or the newest of NAME.

        Raises `NotFoundError`, also for the one that this program came with, and `TemplateError`.
        """
        name, version = _parts(reference)
        return Templates(self.database).find(name, version)

    def text(self, reference: str) -> TemplateText:
        """What a template says. Raises `NotFoundError`, `TemplateError`."""
        return DEFAULT_TEXT if reference == DEFAULT else self.stored(reference).text

    def find(self, reference: str) -> Template:
        """A template, to be asked with. Raises `NotFoundError`, `TemplateError`."""
        if reference == DEFAULT:
            return DEFAULT_TEMPLATE
        found = self.stored(reference)
        return Template(
            system=found.text.system,
            question=found.text.question,
            lead_in=found.text.lead_in,
            sha256=found.sha256,
            template_id=found.template_id,
        )


def _parts(reference: str) -> tuple[str, int | None]:
    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        raise TemplateError(f"{reference!r} is no template; name one as NAME or NAME@VERSION")
    if parts["name"] == DEFAULT:
        raise NotFoundError(f"the template {DEFAULT!r} comes with this program and has no versions")
    return parts["name"], None if parts["version"] is None else int(parts["version"])


def read_template(path: Path) -> TemplateText:
    """The template in a TOML file with `system`, `question` and `lead_in`, or in any other file
    the question's turn alone; what is left out is as in the one that this program came with.

    Raises `TemplateError`.
    """
    content = _content(path)
    if path.suffix.lower() != ".toml":
        return checked(TemplateText(system=SYSTEM, question=content, lead_in=LEAD_IN))
    try:
        given = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise TemplateError(f"the template {path} is no TOML: {error}") from error
    return checked(_text_of(given, path))


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise TemplateError(f"the template {path} can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise TemplateError(f"the template {path} has more than {MAX_FILE:,} bytes; shorten it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(f"the template {path} is no UTF-8: byte {error.start}") from error


def _text_of(given: Mapping[str, Any], path: Path) -> TemplateText:
    for name, value in given.items():
        if name not in _PARTS:
            known = ", ".join(_PARTS)
            raise TemplateError(f"{name!r} in {path} is no part of a template; use {known}")
        if not isinstance(value, str):
            raise TemplateError(f"{name!r} in {path} is no text; put it into quotes")
    if "question" not in given:
        raise TemplateError(f"{path} has no 'question'; say there where {{text}} goes")
    return TemplateText(
        system=given.get("system", SYSTEM),
        question=given["question"],
        lead_in=given.get("lead_in", LEAD_IN),
    )


def checked(text: TemplateText) -> TemplateText:
    """The same. Raises `TemplateError` for a place that is missing, misspelt or elsewhere."""
    for part in _PARTS:
        _check_places(part, getattr(text, part))
    for place in _PLACES:
        if f"{{{place}}}" not in text.question:
            raise TemplateError(f"the question of a template lacks {{{place}}}: say where it goes")
    return text


def _check_places(part: str, said: str) -> None:
    doubled = _DOUBLED.search(said)
    if doubled:
        raise TemplateError(
            f"{doubled[0]} in the {part} of a template has a brace too many on each side"
        )
    for place in _PLACEHOLDER.finditer(said):
        if part != "question":
            raise TemplateError(
                f"{place[0]} stands in the {part} of a template; only the question has places"
            )
        if place["name"] not in _PLACES:
            raise TemplateError(
                f"nothing goes into {place[0]} of a template; use {{text}} and {{question}}"
            )


def as_toml(text: TemplateText) -> str:
    """The file that `read_template` reads as this."""
    return "".join(f"{part} = {_quoted(getattr(text, part))}\n" for part in _PARTS)


def _quoted(text: str) -> str:
    lines = [_escaped(line) for line in text.split("\n")]
    return f'"{lines[0]}"' if len(lines) == 1 else '"""\n{}"""'.format("\n".join(lines))


def _escaped(line: str) -> str:
    """As a basic string of TOML has it, between its quotes."""
    plain = line.replace("\\", "\\\\").replace('"', '\\"')
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04X}", plain)
