"""`rag eval`"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.eval_answers import answers, calibrate
from rag_pipeline.cli.judging import baseline_of, tell
from rag_pipeline.cli.output import print_json, writing
from rag_pipeline.cli.synth_sample import report
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode

if TYPE_CHECKING:
    from rag_pipeline.evaluation.comparison import Change, Interval
    from rag_pipeline.evaluation.evaluate import Wanted
    from rag_pipeline.evaluation.report import Report
    from rag_pipeline.evaluation.tune import Stage, Tuning

_SHOWN_CHANGES = 5
_SHOWN_QUERIES = 5


@click.group(name="eval")
def evaluation() -> None:
    """Measure how good retrieval and answers are, and make them better."""


evaluation.add_command(answers)
evaluation.add_command(calibrate)

# `rag synth report` by another name, which its example says.
_synthetic = copy(report)
_synthetic.help = str(report.help).replace("rag synth report", "rag eval synthetic")
evaluation.add_command(_synthetic, name="synthetic")


@evaluation.command()
@click.argument("folder", type=ANY_PATH, metavar="DIR")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    default="hybrid",
    show_default=True,
)
@click.option(
    "-k", "depth", type=int, default=100, show_default=True, help="How many documents count."
)
@click.option("--where", metavar="EXPR", help="Search only documents whose metadata fit.")
@click.option("--metrics", metavar="LIST", help="Like ndcg@10,map,mrr,recall@100,p@10.")
@click.option("--run", type=ANY_PATH, help="Judge this TREC run file, and search nothing.")
@click.option("--per-query", type=ANY_PATH, help="Write each query's figures to this JSONL file.")
@click.option("--save", type=ANY_PATH, help="Keep the evaluation in this file, as a baseline.")
@click.option("--baseline", type=ANY_PATH, help="Compare with an evaluation that was saved.")
@click.option("--plot", type=ANY_PATH, help="Draw it into this .png or .svg file.")
@click.option(
    "--fail-if",
    multiple=True,
    metavar="COND",
    help='Exit with 1 if "ndcg@10 < baseline - 0.01"; may be given more than once.',
)
@in_collection
@as_json_option
@at_home
def retrieval(
    folder: Path,
    mode: Mode,
    depth: int,
    where: str | None,
    metrics: str | None,
    run: Path | None,
    per_query: Path | None,
    save: Path | None,
    baseline: Path | None,
    plot: Path | None,
    fail_if: tuple[str, ...],
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Judge what is found for the queries of DIR: queries.jsonl with qrels.tsv or qrels/test.tsv.

    The figures are those of trec_eval; the documents are those that the home holds.

    \b
    Example:
      rag eval retrieval judged/ --save before.json
      rag eval retrieval judged/ --baseline before.json --fail-if "ndcg@10 < baseline - 0.01"
    """
    wanted = _wanted(metrics, fail_if, baseline)
    if plot is not None:
        from rag_pipeline.evaluation.plot import check_plot

        check_plot(plot)
    if run is not None:
        from rag_pipeline.evaluation.evaluate import evaluate_run

        report = evaluate_run(run, folder, depth, wanted)
    else:
        from rag_pipeline.evaluation.evaluate import Searching

        searching = Searching(collection=collection, mode=mode, depth=depth, where=where)
        with opened(home, database) as rag:
            report = rag.evaluate(folder, searching, wanted)
    _write(report, per_query=per_query, save=save, plot=plot)
    tell(report, _lines(report), as_json=as_json)


def _wanted(metrics: str | None, fail_if: Sequence[str], baseline: Path | None) -> "Wanted":
    from rag_pipeline.evaluation.criteria import Criterion
    from rag_pipeline.evaluation.evaluate import Wanted
    from rag_pipeline.evaluation.measures import DEFAULT_MEASURES, parse_measures

    criteria = tuple(map(Criterion.parse, fail_if))
    return Wanted(
        measures=DEFAULT_MEASURES if metrics is None else parse_measures(metrics),
        criteria=criteria,
        baseline=baseline_of(baseline, criteria),
    )


def _write(
    report: "Report", *, per_query: Path | None, save: Path | None, plot: Path | None
) -> None:
    if per_query is not None:
        with writing(per_query) as file:
            for query, figures in report.evaluation.queries.items():
                file.write(json.dumps({"_id": query, **figures}, ensure_ascii=False) + "\n")
    if save is not None:
        report.evaluation.saved(save)
    if plot is not None:
        from rag_pipeline.evaluation.plot import plot as draw

        draw(report, plot)


def _lines(report: "Report") -> Iterator[str]:
    found = report.evaluation
    yield _heading(found.settings, found.generation, len(found.queries))
    yield from _table(report)
    yield from _notes(report)
    if report.comparison is not None:
        name = next(iter(report.comparison.changes))
        changes = report.comparison.changes[name]
        if changes:
            yield f"changed most by {name}: {_changes(changes[:_SHOWN_CHANGES])}"
        if report.comparison.left_out:
            yield f"compared without {report.comparison.left_out} queries that only one of both has"


def _heading(settings: Mapping[str, Any], generation: int | None, queries: int) -> str:
    if generation is None:
        return f"{settings['run']}: {queries} queries, {settings['k']} documents each"
    return (
        f"{settings['collection']}, generation {generation}: {queries} queries,"
        f" {settings['mode']}, {settings['k']} documents each"
    )


def _table(report: "Report") -> Iterator[str]:
    against = {} if report.comparison is None else report.comparison.by_measure
    head = f"{'metric':<12} {'mean':>6}  {'95 %':<16}"
    rest = f" {'baseline':>8}  {'difference':<28} {'better':>6} {'worse':>6} {'same':>6}"
    yield (head + rest if against else head).rstrip()
    for name, interval in report.intervals.items():
        line = f"{name:<12} {interval.mean:>6.4f}  {_range(interval, '.4f'):<16}"
        if name in against:
            one = against[name]
            change = f"{one.difference.mean:+.4f} ({_range(one.difference, '+.4f')})"
            line += f" {one.baseline:>8.4f}  {change:<28}"
            line += f" {one.wins:>6} {one.losses:>6} {one.ties:>6}"
        yield line.rstrip()


def _range(interval: "Interval", form: str) -> str:
    return f"{interval.low:{form}} to {interval.high:{form}}"


def _notes(report: "Report") -> Iterator[str]:
    for queries, said in (
        (report.without_hits, "found nothing, and count as 0"),
        (report.without_relevant, "have no relevant document, and count as 0"),
        (tuple(report.absent), "have relevant documents that the collection does not hold"),
    ):
        if queries:
            shown = ", ".join(queries[:_SHOWN_QUERIES])
            more = "" if len(queries) <= _SHOWN_QUERIES else ", …"
            yield f"{len(queries)} of the queries {said}: {shown}{more}"


def _changes(changes: "Sequence[Change]") -> str:
    return ", ".join(f"{one.query} {one.baseline:.3f} to {one.value:.3f}" for one in changes)


@evaluation.command()
@click.argument("folder", type=ANY_PATH, metavar="[DIR]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be gained, and store nothing.")
@click.option("--reset", is_flag=True, help="Forget what was fitted; takes no DIR.")
@in_collection
@as_json_option
@at_home
def tune(
    folder: Path | None,
    dry_run: bool,
    reset: bool,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Fit how a collection is searched to the judged queries of DIR, if that helps.

    First the weights of the fusion, then a reranker of what that ranks best. The gain of each is
    that on queries which it was not fitted on. Only where it is sure is what was fitted stored with
    the collection; your own settings go before it.

    \b
    Example:
      rag eval tune judged/
      rag eval tune --reset
    """
    if reset == (folder is not None) or (reset and dry_run):
        raise click.UsageError("give a DIR of judged queries, or --reset alone")
    with opened(home, database) as rag:
        if folder is None:
            _print_reset(rag.reset_tuning(collection=collection), as_json=as_json)
        else:
            tuning = rag.tune(folder, collection=collection, dry_run=dry_run)
            _print_tuning(tuning, as_json=as_json)


def _print_reset(was_fitted: bool, *, as_json: bool) -> None:
    if as_json:
        print_json({"reset": was_fitted})
    else:
        click.echo("what was fitted is forgotten" if was_fitted else "nothing was fitted")


def _print_tuning(tuning: "Tuning", *, as_json: bool) -> None:
    if as_json:
        print_json(tuning.as_json())
        return
    for line in _tuning_lines(tuning):
        click.echo(line)


def _tuning_lines(tuning: "Tuning") -> Iterator[str]:
    yield f"{tuning.collection}, ndcg@10 of {tuning.queries} queries, each held out from the fit:"
    yield f"  fusion:   {_stage(tuning.fusion)}"
    if tuning.reranker is None:
        yield f"  reranker: not fitted: {tuning.no_reranker}"
    else:
        yield f"  reranker: {_stage(tuning.reranker)}"
        if tuning.fusion.fitted is not None:
            yield "  (the reranker starts from the fusion as fitted on all queries)"
    if tuning.fitted is None:
        yield "no gain is sure: nothing is stored"
    else:
        stored = "stored with the collection" if tuning.is_stored else "not stored"
        yield f"fitted: {json.dumps(_shortened(tuning.fitted))}; {stored}"
    if tuning.overruled:
        yield f"your own settings go before what was fitted: {', '.join(tuning.overruled)}"
    if tuning.kept is not None:
        where = "" if tuning.collection == DEFAULT_COLLECTION else f" -c {tuning.collection}"
        yield (
            f"what was fitted earlier stays: {', '.join(tuning.kept)};"
            f" rag eval tune --reset{where} removes it"
        )


def _stage(stage: "Stage") -> str:
    one = stage.compared
    return (
        f"{one.baseline:.4f} to {one.value:.4f},"
        f" gain {one.difference.mean:+.4f} ({_range(one.difference, '+.4f')});"
        f" {one.wins} better, {one.losses} worse, {one.ties} same"
    )


def _shortened(value: object) -> object:
    """With numbers of three digits."""
    if isinstance(value, Mapping):
        return {name: _shortened(one) for name, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value
