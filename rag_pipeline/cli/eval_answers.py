"""`rag eval answers` and `rag eval calibrate`"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.judging import baseline_of, tell
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.progress import duration
from rag_pipeline.defaults import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from rag_pipeline.evaluation.answers import AnswersWanted
    from rag_pipeline.evaluation.answers_calibration import Calibrated
    from rag_pipeline.evaluation.answers_report import AnswersReport

_SAID_EVERY_S = 5.0


@click.command()
@click.argument("file", type=ANY_PATH, metavar="FILE")
@click.option(
    "--extractive", is_flag=True, help="Answer with sentences of the documents; ask no model."
)
@click.option(
    "--sample", type=int, metavar="N", help="Ask only N questions, half of them answerable."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones --sample draws.")
@click.option("--per-question", type=ANY_PATH, help="Write each answer to this JSONL file.")
@click.option("--save", type=ANY_PATH, help="Keep the evaluation in this file, as a baseline.")
@click.option("--baseline", type=ANY_PATH, help="Compare with an evaluation that was saved.")
@click.option(
    "--plot", type=ANY_PATH, help="Draw calibration and risk into this .png or .svg file."
)
@click.option(
    "--fail-if",
    multiple=True,
    metavar="COND",
    help='Exit with 1 if "f1 < baseline - 0.01"; may be given more than once.',
)
@in_collection
@as_json_option
@at_home
def answers(
    file: Path,
    extractive: bool,
    sample: int | None,
    seed: int,
    per_question: Path | None,
    save: Path | None,
    baseline: Path | None,
    plot: Path | None,
    fail_if: tuple[str, ...],
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Ask the questions of FILE, whose answers are known, and judge what is said.

    FILE is in SQuAD's form, or has a line {_id, question, answers, is_impossible} each.

    \b
    Example:
      rag eval answers known.jsonl --extractive --save before.json
      rag eval answers known.jsonl --baseline before.json --fail-if "f1 < baseline - 0.01"
    """
    from rag_pipeline.evaluation.answers import Asking

    wanted = _wanted(fail_if, baseline)
    if plot is not None:
        from rag_pipeline.evaluation.plot import check_plot

        check_plot(plot)
    asking = Asking(collection=collection, extractive=extractive, sample=sample, seed=seed)
    with opened(home, database) as rag:
        report = rag.evaluate_answers(file, asking, wanted, on_progress=_progress())
    _write(report, per_question=per_question, save=save, plot=plot)
    tell(report, _lines(report), as_json=as_json)


def _wanted(fail_if: Sequence[str], baseline: Path | None) -> "AnswersWanted":
    from rag_pipeline.evaluation.answers import AnswersWanted
    from rag_pipeline.evaluation.answers_report import named
    from rag_pipeline.evaluation.criteria import Criterion

    criteria = tuple(Criterion.parse(text, named) for text in fail_if)
    return AnswersWanted(criteria=criteria, baseline=baseline_of(baseline, criteria))


def _progress() -> Callable[[int, int], None] | None:
    """A line every few seconds, where somebody looks."""
    if not sys.stderr.isatty():
        return None
    began = said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAID_EVERY_S and done < total:
            said = now
            left = duration((now - began) / done * (total - done))
            say(f"{done:,} of {total:,} questions, about {left} left")

    return tell


def _write(
    report: "AnswersReport", *, per_question: Path | None, save: Path | None, plot: Path | None
) -> None:
    if per_question is not None:
        with writing(per_question) as file:
            for one in report.answers:
                said = {
                    "_id": one.question.question_id,
                    "question": one.question.text,
                    "answers": list(one.question.golds),
                    "answer": one.text,
                    "state": one.state,
                    "seconds": round(one.seconds, 4),
                    **one.figures(),
                }
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
    if save is not None:
        report.evaluation.saved(save)
    if plot is not None:
        from rag_pipeline.evaluation.answers_plot import plot as draw

        draw(report, plot)


def _lines(report: "AnswersReport") -> Iterator[str]:
    found, asked = report.evaluation, len(report.answers)
    states = [one.state for one in report.answers]
    answerable = sum(bool(one.question.golds) for one in report.answers)
    yield (
        f"{found.settings['collection']}, generation {found.generation},"
        f" {found.settings['generator']}: {asked} questions, {answerable} of them answerable"
    )
    yield ", ".join(
        f"{states.count(name)} {name}" for name in ("grounded", "partial", "no_evidence")
    )
    against = report.comparison
    for name, interval in report.intervals.items():
        line = f"{name:<24} {interval.mean:>7.4f}  {interval.low:.4f} to {interval.high:.4f}"
        if against is not None and name in against.by_measure:
            change = against.by_measure[name].difference
            line += f"  {change.mean:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
        yield line
    for name, value in found.totals.items():
        line = f"{name:<24} {value:>7.4f}"
        if against is not None and name in against.totals:
            line += f"  {'':<16}  {value - against.totals[name][0]:+.4f}"
        yield line


@click.command()
@click.argument("file", type=ANY_PATH, metavar="[FILE]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be fitted, and store nothing.")
@click.option("--reset", is_flag=True, help="Forget what was fitted; takes no FILE.")
@in_collection
@as_json_option
@at_home
def calibrate(
    file: Path | None,
    dry_run: bool,
    reset: bool,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Fit how sure answers are to the questions of FILE, whose answers are known.

    What comes true of held-out questions decides from which chance on an answer is called grounded,
    so that at most generation.risk of such answers is wrong. It is kept with the collection.

    \b
    Example:
      rag eval calibrate known.jsonl
      rag eval calibrate --reset
    """
    if reset == (file is not None) or (reset and dry_run):
        raise click.UsageError("give a FILE of known questions, or --reset alone")
    with opened(home, database) as rag:
        if file is None:
            was = rag.reset_calibration(collection=collection)
            if as_json:
                print_json({"reset": was})
            else:
                click.echo("what was fitted is forgotten" if was else "nothing was fitted")
            return
        found = rag.calibrate(file, collection=collection, dry_run=dry_run)
    if as_json:
        print_json(found.as_json())
    else:
        for line in _calibration_lines(found):
            click.echo(line)


def _calibration_lines(found: "Calibrated") -> Iterator[str]:
    yield (
        f"{found.collection}: {found.calibration.questions} questions, {found.answerable} of them"
        " answerable; each held out from the fit:"
    )
    for name, figures in (("default", found.before), ("fitted", found.after)):
        yield (
            f"  {name:<8} error of chances {figures['calibration_error']:.4f},"
            f" AUROC of being right {figures['auroc']:.4f}"
        )
    point = found.grounded
    if point is None:
        yield (
            f"no answer will be called grounded: on these questions no chance keeps to a risk of"
            f" {found.risk:g} with a certainty of {found.certainty:g}; give more questions, or"
            " raise generation.risk"
        )
    else:
        yield (
            f"grounded from a chance of {point.chance:g} on: {point.wrong} of {point.answers} such"
            f" answers are wrong, at most {point.risk(found.certainty):.3f} with a certainty of"
            f" {found.certainty:g}"
        )
    where = "" if found.collection == DEFAULT_COLLECTION else f" -c {found.collection}"
    yield (
        f"stored with the collection; rag eval calibrate --reset{where} removes it"
        if found.is_stored
        else "not stored"
    )
