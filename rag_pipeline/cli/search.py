"""`rag search`"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.explanation import explanation_lines
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.place import place_in
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode, Origins

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
    "--where",
    metavar="EXPR",
    help="Search only what fulfils this, like: year >= 2020 and source like 'reports/%'",
)
@click.option(
    "--as-of",
    metavar="TIME|GENERATION",
    help="Search the documents as they were then: 2026-03-01, 2026-03-01T12:00, or 17.",
)
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    help="Which documents; real ones, unless --where names `origin`.",
)
@click.option("--explain", is_flag=True, help="Say of each result why it stands where it stands.")
@click.option(
    "--operators",
    is_flag=True,
    help='Read "a phrase", begin*, +must and -not in QUERY as operators.',
)
@click.option(
    "--diversity",
    type=float,
    default=0.0,
    show_default=True,
    help="0: the best results, however alike; up to 1: different ones.",
)
@click.option("--collapse", is_flag=True, help="Leave out near copies of better results.")
@click.option(
    "--expand",
    type=int,
    metavar="CHARS",
    default=0,
    help="Give up to so many characters of what stands around each result.",
)
@click.option("--hyde", is_flag=True, help="Search with a passage that the generator writes.")
@click.option(
    "--queries",
    type=ANY_PATH,
    help="JSONL of {_id, text}: answer them all into --run-file.",
)
@click.option("--run-file", type=ANY_PATH, help="Write a TREC run; -k counts documents.")
@click.option(
    "--collection",
    "-c",
    "collections",
    metavar="NAME",
    multiple=True,
    default=[DEFAULT_COLLECTION],
    show_default=True,
    help="Documents that are searched together; may be given several times.",
)
@as_json_option
@at_home
def search(
    query: str | None,
    limit: int,
    mode: Mode,
    where: str | None,
    as_of: str | None,
    origin: Origins | None,
    queries: Path | None,
    run_file: Path | None,
    collections: tuple[str, ...],
    explain: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **options: Any,
) -> None:
    """Find the passages that fit QUERY best.

    \b
    Example:
      rag search "height of the lighthouse" -k 3 --explain
      rag search budget --where "year >= 2020 and tag in ('final', 'draft')"
      rag search --operators '"storm signal" +harbour -fog' --as-of 2026-03-01
      rag search --queries queries.jsonl --run-file run.txt -k 100
    """
    if (query is None) == (queries is None):
        raise click.UsageError("give a QUERY, or --queries with --run-file")
    if (queries is None) != (run_file is None):
        raise click.UsageError("--queries and --run-file belong together")
    shared: dict[str, Any] = {
        "limit": limit,
        "mode": mode,
        "where": where,
        "as_of": as_of,
        "origins": origin,
        "collection": collections,
    }
    with opened(home, database) as rag:
        if queries is not None and run_file is not None:
            _write_run(rag, queries, run_file, limit=limit, mode=mode, shared=shared)
        else:
            result = rag.search(query or "", explain=explain, **shared, **options)
            _print_result(result, as_json=as_json)


def _write_run(
    rag: "RagPipeline",
    queries: Path,
    run_file: Path,
    *,
    limit: int,
    mode: Mode,
    shared: Mapping[str, Any],
) -> None:
    from rag_pipeline.evaluation.trec import read_lines, run_lines

    questions = read_lines(queries, ("text", "question"))
    results = rag.search_documents([text for _, text in questions], **shared)
    with writing(run_file) as file:
        for (query_id, _), result in zip(questions, results, strict=True):
            file.writelines(run_lines(query_id, result.hits, limit=limit, tag=f"rag-{mode}"))
    say(f"{len(questions)} queries answered into {run_file}")


def _print_result(result: "SearchResult", *, as_json: bool) -> None:
    if as_json:
        from rag_pipeline.retrieval.result_json import result_json

        print_json(result_json(result))
        return
    if not result.hits:
        click.echo("nothing found")
    for hit in result.hits:
        for line in _lines(result, hit):
            click.echo(line)


def _lines(result: "SearchResult", hit: "Hit") -> Iterator[str]:
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
    if hit.context is None:
        yield f"   {_short(hit.chunk.text)}"
    else:
        yield f"   {' '.join(hit.context.text.split())}"
    if hit.copies:
        yield f"   (and {len(hit.copies)} with nearly the same text)"
    if hit.chunk.chunk_id in result.explanations:
        yield from explanation_lines(hit, result.explanations[hit.chunk.chunk_id])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
