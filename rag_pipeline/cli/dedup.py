"""`rag dedup`"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import Given, as_json_option, at_home, in_collection
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from rag_pipeline.composition import Composition
    from rag_pipeline.deduplication import DuplicateReport, Explanation, Near
    from storage.duplicates import Group
    from storage.records import SourceRef

_SHOWN_SOURCES = 5


@click.group()
def dedup() -> None:
    """Show what came more than once, and what was made of it."""


@dedup.command()
@click.argument("name", metavar="ID")
@in_collection
@as_json_option
@at_home
def explain(
    name: str, collection: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Show what became of one text: its sources, what it is nearly the same as and where they
    differ, whether it is found, and which of its lines are not embedded.

    ID is a document id, an external id, a uri, or the end of one.

    \b
    Example:
      rag dedup explain handbook/leave-v2.md
    """
    from rag_pipeline import deduplication
    from storage.records import LOCAL_OWNER

    parts = _parts(home, database)
    try:
        found = deduplication.explain(parts, name, collection=collection, principal=LOCAL_OWNER)
    finally:
        parts.close()
    if as_json:
        print_json(found.as_json())
        return
    for line in _explained(found):
        click.echo(line)


@dedup.command()
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many groups and lines, at most.",
)
@in_collection
@as_json_option
@at_home
def report(
    limit: int, collection: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Count what came more than once: sources of one text, near duplicates, lines at the edges.

    \b
    Example:
      rag dedup report -n 10
    """
    from rag_pipeline import deduplication
    from storage.records import LOCAL_OWNER

    parts = _parts(home, database)
    try:
        found = deduplication.report(
            parts, collection=collection, principal=LOCAL_OWNER, limit=limit
        )
    finally:
        parts.close()
    if as_json:
        print_json(found.as_json())
        return
    for line in _reported(found):
        click.echo(line)


def _parts(home: Path | None, database: str | None) -> "Composition":
    from rag_pipeline.composition import Composition
    from rag_pipeline.settings import load_settings

    given = click.get_current_context().find_object(Given) or Given()
    return Composition(
        load_settings(home=home or given.home, database_url=database or given.database)
    )


def _explained(found: "Explanation") -> Iterator[str]:
    yield f"document    {found.document_id}"
    yield f"content     {found.content_sha256}"
    yield from _listed("sources", found.sources)
    yield f"found       {'no, it is held back' if found.is_held_back else 'yes'}: {found.reason}"
    if found.original is not None:
        yield f"like        {_named(found.original)}"
    for difference in found.differences:
        yield f"            … {difference.after} [-{difference.original}-]{{+{difference.text}+}}"
    for copy in found.near:
        yield f"copy        {_named(copy)}"
    for line in found.left_out:
        yield f"left out    {line.text}  [{line.start}–{line.end}, in {line.texts} texts]"


def _listed(label: str, sources: "Sequence[SourceRef]") -> Iterator[str]:
    for number, ref in enumerate(sources):
        title = f"  {ref.title}" if ref.title else ""
        yield f"{'' if number else label:<12}{ref.source}  {ref.external_id}{title}"


def _named(near: "Near") -> str:
    held_back = ", held back" if near.is_held_back else ""
    return f"document {near.document_id}, {near.similarity:.2f}{held_back}: {_places(near.sources)}"


def _places(sources: "Sequence[SourceRef]") -> str:
    shown = ", ".join(ref.external_id for ref in sources[:_SHOWN_SOURCES])
    return shown if len(sources) <= _SHOWN_SOURCES else f"{shown}, …"


def _reported(found: "DuplicateReport") -> Iterator[str]:
    counts = found.counts
    yield f"{counts.sources} sources, {counts.texts} texts, {counts.chunks} chunks"
    yield f"{counts.exact_duplicates} exact duplicates"
    yield f"{counts.linked + counts.held_back} near duplicates, {counts.held_back} held back"
    yield f"{counts.embeddings_saved} embeddings saved, at least"
    yield f"{found.boilerplate_lines} lines not embedded"
    for group in found.exact:
        yield _grouped("the same", group)
    for group in found.near:
        yield _grouped("nearly the same", group)
    for line in found.boilerplate:
        yield f"  in {line.texts} texts: {line.text}"


def _grouped(label: str, group: "Group") -> str:
    return f"  {group.size} {label}: {_places(group.sources)} (document {group.document_id})"
