"""`rag parse`"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from ingest.records import Part, RawDocument, ReadText, Refusal

_REFUSED = 3
_SKIPPED = 4
_SHOWN_CHARACTERS = 70


@click.command()
@click.argument("path", type=ANY_PATH)
@as_json_option
def parse(path: Path, as_json: bool) -> None:
    """Print the text of PATH as ingestion would see it.

    Files inside it, such as attachments, follow under lines with their names. Exits with 0 for
    text, 3 for a refused document, 4 for one with nothing to ingest; the reasons are on stderr.
    So are passages that speak to a language model instead of a reader.

    \b
    Example:
      rag parse report.pdf
    """
    from ingest.records import Refusal

    documents: list[dict[str, Any]] = []
    outcomes: set[str] = set()
    for item in _documents(path):
        if isinstance(item, Refusal):
            say(f"{item.outcome}: {item.source}: {item.reason}")
            outcomes.add(item.outcome)
            continue
        outcomes.add("read")
        if as_json:
            documents.append(_as_json(*item))
        else:
            _print(*item)
    if as_json:
        print_json(documents)
    raise SystemExit(_status(outcomes, path))


def _documents(path: Path) -> Iterator["Refusal | tuple[RawDocument, Part, ReadText]"]:
    """Each document at `path` and inside it: what it was read from, or why it could not be."""
    from ingest.errors import PathError
    from ingest.load import load
    from ingest.records import Refusal
    from ingest.sandbox.parser_process import ParserProcess
    from ingest.sandbox.readers import InProcessReader
    from rag_pipeline.settings import load_settings

    try:
        loaded = load([path])
    except PathError as error:
        yield Refusal(source=str(path), reason=str(error), outcome="refused")
        return
    limits = load_settings().parsing
    lines = InProcessReader(limits)
    with ParserProcess(limits) as files:
        for raw in loaded:
            if isinstance(raw, Refusal):
                yield raw
                continue
            for part in (lines if raw.format == "jsonl" else files).parts(raw):
                content = part.content
                yield content if isinstance(content, Refusal) else (raw, part, content)


def _print(_: "RawDocument", part: "Part", read: "ReadText") -> None:
    from ingest.suspicion import suspicions_in

    if part.path:
        click.echo(f"==> {part.path} <==")
    click.echo(read.text)
    for start, end, reason in suspicions_in(read.text):
        say(f"suspicious: {reason}, characters {start} to {end}: {_short(read.text[start:end])}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def _as_json(raw: "RawDocument", part: "Part", read: "ReadText") -> dict[str, Any]:
    from ingest.suspicion import suspicions_in

    inside = f"!/{part.path}" if part.path else ""
    return {
        "external_id": f"{raw.external_id}{inside}",
        "source": f"{raw.uri}{inside}",
        "media_type": part.media_type,
        "title": read.title,
        "metadata": dict(read.metadata),
        "language": read.language,
        "outline": {
            "headings": [
                {"start": heading.start, "level": heading.level, "title": heading.title}
                for heading in read.outline.headings
            ],
            "page_starts": list(read.outline.page_starts),
        },
        "suspicions": [list(found) for found in suspicions_in(read.text)],
        "text": read.text,
    }


def _status(outcomes: set[str], path: Path) -> int:
    if not outcomes:
        say(f"skipped: {path}: there are no files in it")
    if "read" in outcomes:
        return 0
    return _REFUSED if "refused" in outcomes else _SKIPPED
