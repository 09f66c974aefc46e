"""`rag search`"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.place import place_in
from rag_pipeline.defaults import Mode, Origins

if TYPE_CHECKING:
    from rag_pipeline.pipeline import RagPipeline
    from rag_pipeline.retrieval.search import SearchResult
    from storage.records import Hit

_SHOWN_CHARACTERS = 200


@click.command()
@click.argument("query", required=False)
@click.option("-k", "limit", type=int, default=10, show_default=True, help="How many results.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    default="hybrid",
    show_default=True,
)
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    default="real",
    show_default=True,
    help="Synthetic documents are found only when asked for.",
)
@click.option(
    "--queries",
    type=ANY_PATH,
    help="JSONL of {_id, text}: answer them all into --run-file.",
)
@click.option("--run-file", type=ANY_PATH, help="Write a TREC run; -k counts documents.")
@in_collection
@as_json_option
@at_home
def search(
    query: str | None,
    limit: int,
    mode: Mode,
    origin: Origins,
    queries: Path | None,
    run_file: Path | None,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Find the passages that fit QUERY best.

    \b
    Example:
      rag search "height of the lighthouse" -k 3
      rag search --queries queries.jsonl --run-file run.txt -k 100
    """
    if (query is None) == (queries is None):
        raise click.UsageError("give a QUERY, or --queries with --run-file")
    if (queries is None) != (run_file is None):
        raise click.UsageError("--queries and --run-file belong together")
    with opened(home, database) as rag:
        if queries is not None and run_file is not None:
            _write_run(rag, queries, run_file, limit=limit, mode=mode, collection=collection)
        else:
            result = rag.search(
                query or "", limit=limit, mode=mode, collection=collection, origins=origin
            )
            _print_result(result, as_json=as_json)


def _write_run(
    rag: "RagPipeline", queries: Path, run_file: Path, *, limit: int, mode: Mode, collection: str
) -> None:
    from rag_pipeline.evaluation.trec import read_lines, run_lines

    questions = read_lines(queries, ("text", "question"))
    results = rag.search_documents(
        [text for _, text in questions], limit=limit, mode=mode, collection=collection
    )
    with writing(run_file) as file:
        for (query_id, _), result in zip(questions, results, strict=True):
            file.writelines(run_lines(query_id, result.hits, limit=limit, tag=f"rag-{mode}"))
    say(f"{len(questions)} queries answered into {run_file}")


def _print_result(result: "SearchResult", *, as_json: bool) -> None:
    if as_json:
        print_json({"generation": result.generation, "hits": [*map(_as_json, result.hits)]})
        return
    if not result.hits:
        click.echo("nothing found")
    for hit in result.hits:
        for line in _lines(hit):
            click.echo(line)


def _lines(hit: "Hit") -> Iterator[str]:
    ranks = f"vector {hit.vector_rank or '–'}, keyword {hit.keyword_rank or '–'}"
    place = place_in(
        hit.chunk.sources[0].source,
        page=hit.chunk.page,
        last_page=hit.chunk.last_page,
        headings=hit.chunk.headings,
        start=hit.chunk.start,
        end=hit.chunk.end,
    )
    yield f"{hit.rank}. {hit.score:.3f} ({ranks}) {place}"
    text = " ".join(hit.chunk.text.split())
    yield f"   {text[:_SHOWN_CHARACTERS]}{'…' if len(text) > _SHOWN_CHARACTERS else ''}"


def _as_json(hit: "Hit") -> Mapping[str, Any]:
    first = hit.chunk.sources[0]
    return {
        "chunk_id": hit.chunk.chunk_id,
        "document_id": hit.chunk.document_id,
        "external_id": first.external_id,
        "source": first.source,
        "score": hit.score,
        "rank": hit.rank,
        "vector_rank": hit.vector_rank,
        "vector_score": hit.vector_score,
        "keyword_rank": hit.keyword_rank,
        "keyword_score": hit.keyword_score,
        "text": hit.chunk.text,
        "title": first.title,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "headings": list(hit.chunk.headings),
        "page": hit.chunk.page,
        "section_start": hit.chunk.section[0],
        "section_end": hit.chunk.section[1],
        "language": hit.chunk.language,
        "metadata": dict(first.metadata),
        "sources": [
            {
                "source": ref.source,
                "external_id": ref.external_id,
                "title": ref.title,
                "metadata": dict(ref.metadata),
                "origin": ref.origin,
            }
            for ref in hit.chunk.sources
        ],
    }
