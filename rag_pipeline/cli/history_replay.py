"""`rag history replay`"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.history_filters import matching, matching_options_but_model
from rag_pipeline.cli.output import FAILED, print_json, say

if TYPE_CHECKING:
    from rag_pipeline.history.comparing import Difference
    from rag_pipeline.history.matching import Matching
    from rag_pipeline.history.replay import Replayed
    from rag_pipeline.history.replay_report import ReplayReport
    from rag_pipeline.pipeline import RagPipeline

_SHOWN_CHARACTERS = 70


@click.command("replay")
@click.argument("prompt_ids", nargs=-1, metavar="[PROMPT_ID]...")
@click.option("--words", default="", help="Only where question or answer have all of these words.")
@matching_options_but_model
@click.option("-n", "--limit", type=click.IntRange(min=1), help="The newest so many, at most.")
@click.option(
    "--at",
    default="recorded",
    show_default=True,
    metavar="recorded|now|GENERATION|TIME",
    help="The documents that answer: as they were for each question, as they are, or as then.",
)
@click.option("--model", metavar="NAME", help="Ask this generator instead, or `extractive`.")
@click.option(
    "--template", metavar="NAME[@V]", help="Ask with this prompt template; else the one on record."
)
@click.option("--baseline", type=ANY_PATH, help="Compare with this file of --output instead.")
@click.option(
    "--output", type=ANY_PATH, help="Write each result to this file, a JSON object a line."
)
@click.option("--force", is_flag=True, help="Replace --output if it is there.")
@click.option("--record", is_flag=True, help="Put the new answers on record, too.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Asked at the same time.",
)
@click.option(
    "--fail-if",
    multiple=True,
    metavar="CONDITION",
    help='Exit with 1 if it holds, like "changed > 0" or "lost > 2"; may be given again.',
)
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print a JSON object for each exchange.")
@as_json_option
@at_home
def replay(
    prompt_ids: tuple[str, ...],
    words: str,
    limit: int | None,
    at: str,
    model: str | None,
    template: str | None,
    baseline: Path | None,
    output: Path | None,
    force: bool,
    record: bool,
    jobs: int,
    fail_if: tuple[str, ...],
    as_jsonl: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **filters: Any,
) -> None:
    """Ask past questions again, and report what is different about the answers.

    With everything as it was, answers come out as they were. The figures of --fail-if are
    replayed, identical, changed, failed, lost, gained, evidence_changed, reordered,
    answer_changed, state_changed, citations_changed, changed_rate and confidence_change.

    \b
    Example:
      rag history replay 019a6c
      rag history replay --since 2026-01-01 --at now --fail-if "changed_rate > 0.05"
      rag history replay --where "rating >= 0.8" --at now --fail-if "lost > 0"
    """
    from rag_pipeline.datasets.files import new_file
    from rag_pipeline.history.errors import HistoryError
    from rag_pipeline.history.replay import Replaying
    from rag_pipeline.history.replay_report import ReplayReport, read_baseline, replay_criterion

    criteria = [replay_criterion(text) for text in fail_if]
    known = {} if baseline is None else read_baseline(baseline)
    how = Replaying(at=at, model=model, template=template, keep=record, jobs=jobs, baseline=known)
    wanted: Matching = {**matching({**filters, "model": None}), "words": words}
    if not prompt_ids and limit is None and not any(wanted.values()):
        raise click.UsageError("say what to replay: an id, a filter, or --limit")
    report = ReplayReport()
    with opened(home, database) as rag, ExitStack() as files:
        keys = _chosen(rag, prompt_ids, limit, wanted)
        if not keys:
            raise HistoryError("no exchange is like that: there is nothing to replay")
        file = None if output is None else files.enter_context(new_file(output, overwrite=force))
        results = _watched(rag.history.replay(keys, how), report, len(keys), file)
        if as_json:
            shown = [one.as_json() for one in results]
        else:
            _print(results, as_jsonl=as_jsonl)
    report.judge(criteria)
    if as_json:
        print_json({"prompts": shown, "report": report.as_json()})
    for line in () if as_json else _summary(report):
        click.echo(line, err=as_jsonl)
    for failure in report.failures:
        say(f"failed: {failure}")
    if report.failures:
        raise SystemExit(FAILED)


def _chosen(
    rag: "RagPipeline",
    prompt_ids: Sequence[str],
    limit: int | None,
    wanted: "Matching",
) -> Sequence[str]:
    """Ids of what is to be replayed, oldest first where a filter chose them."""
    if not prompt_ids:
        return rag.history.matching(limit=limit, **wanted)
    if limit is not None or any(wanted.values()):
        raise click.UsageError("give either ids or a filter")
    return [rag.history.show(one).prompt_id for one in prompt_ids]


def _watched(
    results: "Iterable[Replayed]", report: "ReplayReport", total: int, file: BinaryIO | None
) -> "Iterator[Replayed]":
    """`results`, counted, kept in the file, and told of on a terminal."""
    from rag_pipeline.history.replay_report import line

    is_terminal = sys.stderr.isatty()
    for one in results:
        report.add(one)
        if file is not None:
            file.write(line(one))
        if is_terminal:
            counts = report.counts
            done = f"{counts['replayed']} of {total}, {counts['changed']} changed"
            click.echo(f"\r{done}", err=True, nl=False)
        yield one
    if is_terminal and total:
        click.echo("", err=True)


def _print(results: "Iterable[Replayed]", *, as_jsonl: bool) -> None:
    from rag_pipeline.history.replay_report import line

    for one in results:
        if as_jsonl:
            click.echo(line(one), nl=False)
        else:
            for text in _lines(one):
                click.echo(text)


def _lines(one: "Replayed") -> Iterator[str]:
    """What is said of one exchange; nothing of one that came out as it was."""
    from rag_pipeline.cli.difference import lines

    found = one.difference
    if found is not None and found.is_identical and not one.notes:
        return
    outcome = "failed" if found is None else _outcome(found)
    yield f"{one.record.prompt_id}  {outcome:<9}  {_short(one.record.question)}"
    if one.error is not None:
        yield f"  error       {one.error}"
    yield from (f"  note        {note}" for note in one.notes)
    if one.kept_as is not None:
        yield f"  recorded    {one.kept_as}"
    if found is not None:
        yield from (f"  {text}" for text in lines(found, one.sources))


def _outcome(found: "Difference") -> str:
    if found.is_changed:
        return "changed"
    return "identical" if found.is_identical else "as it was"


def _summary(report: "ReplayReport") -> Iterator[str]:
    counts = report.counts
    yield (
        f"{counts['replayed']} replayed: {counts['identical']} identical,"
        f" {counts['changed']} changed, {counts['failed']} failed"
    )
    if counts["changed"]:
        kinds = ("evidence", "answer", "state", "citations")
        said = [f"{kind} of {counts[f'{kind}_changed']}" for kind in kinds]
        yield f"  {', '.join(said)}; {counts['lost']} lost, {counts['gained']} gained"
    for (before, after), count in report.states.most_common():
        yield f"  {count} went from {before or '–'} to {after or '–'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
