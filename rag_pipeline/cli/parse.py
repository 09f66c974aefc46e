"""`rag parse`"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option
from rag_pipeline.cli.output import print_json, say

_REFUSED = 3
_SKIPPED = 4


@click.command()
@click.argument("path", type=ANY_PATH)
@as_json_option
def parse(path: Path, as_json: bool) -> None:
    """Print the text of PATH as ingestion would see it.

    Exits with 0 for text, 3 for a refused document, 4 for one with nothing to ingest; the reason
    is on stderr.

    \b
    Example:
      rag parse report.pdf
    """
    from ingest.records import Refusal

    status = 0
    documents: list[dict[str, Any]] = []
    for item in _parsed(path):
        if isinstance(item, Refusal):
            say(f"{item.outcome}: {item.source}: {item.reason}")
            status = max(status, _REFUSED if item.outcome == "refused" else _SKIPPED)
        elif as_json:
            documents.append(item)
        else:
            click.echo(item["text"])
    if as_json:
        print_json(documents)
    raise SystemExit(status)


def _parsed(path: Path) -> Iterator[Any]:
    """Each document of `path` as a dict, or the reason why it is none."""
    from ingest.errors import PathError
    from ingest.load import load
    from ingest.parse.registry import parse_or_refuse
    from ingest.records import Refusal

    try:
        loaded = load([path])
    except PathError as error:
        yield Refusal(source=str(path), reason=str(error), outcome="refused")
        return
    for raw in loaded:
        parsed = raw if isinstance(raw, Refusal) else parse_or_refuse(raw)
        if isinstance(raw, Refusal) or isinstance(parsed, Refusal):
            yield parsed
            continue
        yield {
            "external_id": raw.external_id,
            "source": raw.uri,
            "media_type": raw.media_type,
            "title": parsed.title,
            "metadata": dict(parsed.metadata),
            "text": parsed.text,
        }
