"""`rag entities`"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.place import place_in
from rag_pipeline.defaults import Origins

if TYPE_CHECKING:
    from rag_pipeline.entities.graph import ExportFormat, Neighbour, Relation, Shown
    from storage.entities import Entity, EntityKind, Mention
    from storage.records import Origin, SourceRef

_SHOWN_NAMES = 5

of_kind = click.option(
    "--kind",
    type=click.Choice(["person", "organisation", "place", "term"]),
    help="Only of this kind.",
)
of_origin = click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    default="real",
    show_default=True,
    help="Synthetic documents count only when asked for.",
)


@click.group()
def entities() -> None:
    """Look up the people, organisations, places and terms that documents and answers mention."""


@entities.command("list")
@of_kind
@click.option("--match", metavar="TEXT", help="Only names that have TEXT in them.")
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many, at most.")
@of_origin
@in_collection
@as_json_option
@at_home
def list_entities(
    kind: "EntityKind | None",
    match: str | None,
    limit: int,
    origin: Origins,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """List entities, those in the most documents first.

    \b
    Example:
      rag entities list --kind person --match love
    """
    from rag_pipeline.entities.graphml import entity_json

    with opened(home, database) as rag:
        found = rag.entities.list(
            kind=kind, match=match, limit=limit, collection=collection, origins=_origins(origin)
        )
    if as_json:
        listed = [entity_json(entity) for entity in found.entities]
        print_json({**_standing(found), "entities": listed})
        return
    _say_if_behind(found.generation, found.stands_at)
    if not found.entities:
        click.echo("no entity was found")
    for entity in found.entities:
        click.echo(_line(entity))


@entities.command()
@click.argument("name")
@of_kind
@click.option("-n", "limit", type=int, default=10, show_default=True, help="How many of each.")
@of_origin
@in_collection
@as_json_option
@at_home
def show(
    name: str,
    kind: "EntityKind | None",
    limit: int,
    origin: Origins,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Show one entity: where it is mentioned, and what it is mentioned with.

    NAME is any form of its name.

    \b
    Example:
      rag entities show "Ada Lovelace"
    """
    with opened(home, database) as rag:
        found = rag.entities.show(
            name, kind=kind, limit=limit, collection=collection, origins=_origins(origin)
        )
    if as_json:
        print_json(_shown_json(found))
        return
    _say_if_behind(found.generation, found.stands_at)
    for line in _shown(found):
        click.echo(line)


@entities.command()
@click.argument("first")
@click.argument("second")
@of_origin
@in_collection
@as_json_option
@at_home
def related(
    first: str,
    second: str,
    origin: Origins,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Show how two entities hang together: documents with both, and a path from one to the other.

    Each step of the path is a pair that stands together in a sentence.

    \b
    Example:
      rag entities related "Ada Lovelace" "Charles Babbage"
    """
    with opened(home, database) as rag:
        found = rag.entities.related(first, second, collection=collection, origins=_origins(origin))
    if as_json:
        print_json(_relation_json(found))
        return
    _say_if_behind(found.generation, found.stands_at)
    for line in _related(found):
        click.echo(line)


@entities.command()
@click.argument("out", type=ANY_PATH)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["graphml", "jsonl"]),
    default="graphml",
    show_default=True,
)
@of_origin
@in_collection
@as_json_option
@at_home
def export(
    out: Path,
    format_: "ExportFormat",
    origin: Origins,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Write the graph of entities to OUT.

    \b
    Example:
      rag entities export graph.graphml
      rag entities export graph.jsonl --format jsonl
    """
    with opened(home, database) as rag, writing(out) as file:
        count = rag.entities.export(file, format_, collection=collection, origins=_origins(origin))
    if as_json:
        print_json({"path": str(out), "format": format_, "entities": count})
    else:
        click.echo(f"{count} entities into {out}")


@entities.command()
@click.option("--collection", "-c", metavar="NAME", help="Only of this collection.")
@click.option("--no-wait", is_flag=True, help="Fail at once if another writer is at work.")
@as_json_option
@at_home
def update(
    collection: str | None,
    no_wait: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Look through the texts and answers that are new, or that were looked through by other rules.

    The other commands do this first, unless another writer is at work; here you can wait for it.

    \b
    Example:
      rag entities update
    """
    with opened(home, database) as rag:
        reports = rag.entities.update(collection, wait=not no_wait)
    if as_json:
        print_json([report.as_json() for report in reports])
        return
    for report in reports:
        click.echo(
            f"{report.collection}: {_counted(report.documents, 'text')} and"
            f" {_counted(report.answers, 'answer')} looked through,"
            f" {_counted(report.mentions, 'mention')}, up to generation {report.generation}"
        )


def _origins(wanted: Origins) -> "frozenset[Origin]":
    from storage.records import Origin

    return frozenset(Origin) if wanted == "both" else frozenset({Origin(wanted)})


def _say_if_behind(generation: int, stands_at: int) -> None:
    if stands_at < generation:
        say(
            f"texts after generation {stands_at} are not looked through yet, of {generation};"
            " `rag entities update` does it"
        )


def _standing(found: Any) -> dict[str, Any]:
    return {"generation": found.generation, "stands_at": found.stands_at}


def _line(entity: "Entity") -> str:
    counts = [_counted(entity.documents, "document"), _counted(entity.mentions, "mention")]
    if entity.answers:
        counts.append(_counted(entity.answers, "answer"))
    return f"{entity.kind:<12}  {entity.name}  ({', '.join(counts)})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(found: "Shown") -> Iterator[str]:
    yield _line(found.entity)
    if len(found.entity.names) > 1:
        yield f"also        {', '.join(found.entity.names[1 : _SHOWN_NAMES + 1])}"
    for other in found.others:
        yield f"or          {_line(other)}"
    for mention in found.mentions:
        yield f"mentioned   {_place(mention)}"
        yield f"            … {' '.join(mention.excerpt.split())} …"
    for answer in found.answers:
        yield f"answered    prompt {answer.prompt_id} [{answer.start}–{answer.end}]"
    for neighbour in found.neighbours:
        yield f"beside      {neighbour.weight} × {_line(neighbour.entity)}"


def _place(mention: "Mention") -> str:
    return place_in(
        mention.sources[0].source,
        page=mention.page,
        headings=mention.headings,
        start=mention.start,
        end=mention.end,
    )


def _related(found: "Relation") -> Iterator[str]:
    if found.path:
        first, *others = found.path
        steps = "".join(f" –{at.weight}– {at.entity.name}" for at in others)
        yield f"path        {first.entity.name}{steps}"
    else:
        yield "path        none of 4 steps or fewer"
    for ref in found.documents:
        yield f"both in     {ref.source}  {ref.external_id}"


def _shown_json(found: "Shown") -> Mapping[str, Any]:
    from rag_pipeline.entities.graphml import entity_json

    return {
        **_standing(found),
        **entity_json(found.entity),
        "others": [entity_json(other) for other in found.others],
        "places": [_mention_json(mention) for mention in found.mentions],
        "in_answers": [
            {"prompt_id": at.prompt_id, "start": at.start, "end": at.end, "text": at.surface}
            for at in found.answers
        ],
        "neighbours": [_neighbour_json(neighbour) for neighbour in found.neighbours],
    }


def _mention_json(mention: "Mention") -> Mapping[str, Any]:
    return {
        "document_id": mention.document_id,
        "external_id": mention.sources[0].external_id,
        "source": mention.sources[0].source,
        "start": mention.start,
        "end": mention.end,
        "text": mention.surface,
        "excerpt": mention.excerpt,
        "page": mention.page,
        "headings": list(mention.headings),
    }


def _neighbour_json(neighbour: "Neighbour") -> Mapping[str, Any]:
    return {
        "name": neighbour.entity.name,
        "kind": neighbour.entity.kind,
        "weight": neighbour.weight,
    }


def _relation_json(found: "Relation") -> Mapping[str, Any]:
    return {
        **_standing(found),
        "path": [_neighbour_json(step) for step in found.path],
        "documents": [_source_json(ref) for ref in found.documents],
    }


def _source_json(ref: "SourceRef") -> Mapping[str, Any]:
    return {"source": ref.source, "external_id": ref.external_id, "title": ref.title}
