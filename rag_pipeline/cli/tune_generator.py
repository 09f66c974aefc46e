"""`rag tune generator` and `rag tune preference`"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.cli.training import seed_option, told

if TYPE_CHECKING:
    from rag_pipeline.tuning.courses import GeneratorSettings
    from rag_pipeline.tuning.generator_report import GeneratorWanted, TunedGenerator

Command = TypeVar("Command", bound=Callable[..., Any])


def _trains(command: Command) -> Command:
    """The options that both commands have."""
    for option in reversed(
        (
            click.option("--from-history", is_flag=True, help="Learn from what people said here."),
            click.option(
                "--base",
                metavar="MODEL",
                help="Begin with it; else with the generator that is set.",
            ),
            click.option(
                "--name",
                default="generator",
                show_default=True,
                help="Of the versions that come of it.",
            ),
            click.option(
                "--method",
                type=click.Choice(["lora", "last-layers"]),
                help="What is trained: thin matrices beside all others, unless given.",
            ),
            click.option("--rank", type=click.IntRange(min=1), help="Of those matrices; 8."),
            click.option(
                "--alpha", type=click.IntRange(min=1), help="Their weight, times rank; 16."
            ),
            click.option("--layers", type=click.IntRange(min=1), help="With last-layers: 2."),
            click.option(
                "--epochs", type=click.IntRange(min=1), help="How often all is seen, at most; 3."
            ),
            click.option("--learning-rate", type=float, metavar="RATE", help="At its highest."),
            click.option(
                "--batch-tokens", type=click.IntRange(min=1), help="Tokens in one step; 512."
            ),
            seed_option,
            click.option("--threads", type=click.IntRange(min=1), help="Of the processor; 1."),
            click.option(
                "--keep-adapter", is_flag=True, help="Keep what LoRA trained by itself, too."
            ),
            click.option(
                "--activate/--no-activate",
                "activates",
                default=True,
                show_default=True,
                help="Let it become what `version:NAME` means, if it is surely better.",
            ),
            click.option(
                "--plot", type=ANY_PATH, metavar="FILE", help="Draw the training as PNG or SVG."
            ),
            as_json_option,
            at_home,
        )
    ):
        command = option(command)
    return command


@click.command("generator")
@click.option(
    "--data",
    type=ANY_PATH,
    metavar="FILE",
    help="Pairs, as `rag history export --format openai|alpaca|pairs` writes them.",
)
@click.option(
    "--min-score", type=float, metavar="0…1", help="With --from-history: only answers rated so."
)
@_trains
def generator(
    data: Path | None,
    min_score: float | None,
    from_history: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **given: Any,
) -> None:
    """Train the generator to answer as people wished, and keep what comes of it as a version.

    Questions that nothing was trained on judge it before and after. Broken off, the same command
    goes on.

    \b
    Example:
      rag tune generator --from-history --min-score 0.7
      rag tune generator --data pairs.jsonl --name manuals
    """
    _check_source(data, from_history=from_history)
    if min_score is not None and not from_history:
        raise click.UsageError("--min-score goes with --from-history")
    from rag_pipeline.tuning.courses import AnswerCourse

    course = AnswerCourse(settings=_settings(given, learning_rate=2e-4))
    with opened(home, database) as rag:
        wanted = _wanted(given, data, min_score)
        tuned = rag.tune_generator(wanted, course, observe=told(), tell=say)
    _print(tuned, as_json=as_json)


@click.command("preference")
@click.option(
    "--data",
    type=ANY_PATH,
    metavar="FILE",
    help="Preferences, as `rag history export --format dpo` writes them.",
)
@click.option("--beta", type=float, help="How dear it is to move away from the base; 0.1.")
@click.option(
    "--max-drift", type=float, help="Nats by which a token of a better answer may get dearer; 0.1."
)
@_trains
def preference(
    data: Path | None,
    beta: float | None,
    max_drift: float | None,
    from_history: bool,
    as_json: bool,
    home: Path | None,
    database: str | None,
    **given: Any,
) -> None:
    """Train the generator to prefer better answers (DPO), and keep what comes of it as a version.

    What people corrected was worse than what they wrote instead; of two answers to a question the
    one that was rated higher is better.

    \b
    Example:
      rag tune preference --from-history
      rag tune preference --data preferences.jsonl --base version:generator
    """
    _check_source(data, from_history=from_history)
    from rag_pipeline.tuning.courses import PreferenceCourse

    course = PreferenceCourse(
        settings=_settings(given, learning_rate=1e-4),
        **_said({"beta": beta, "max_drift": max_drift}),
    )
    with opened(home, database) as rag:
        wanted = _wanted(given, data, None)
        tuned = rag.tune_preference(wanted, course, observe=told(), tell=say)
    _print(tuned, as_json=as_json)


def _check_source(data: Path | None, *, from_history: bool) -> None:
    if (data is not None) == from_history:
        raise click.UsageError("give either --data or --from-history")


def _settings(given: Mapping[str, Any], *, learning_rate: float) -> "GeneratorSettings":
    from rag_pipeline.tuning.adapters import AdapterSettings
    from rag_pipeline.tuning.courses import GeneratorSettings

    adapter = ("method", "rank", "alpha", "layers")
    training = ("epochs", "learning_rate", "batch_tokens", "seed", "threads")
    chosen = {"learning_rate": learning_rate, **_said({key: given[key] for key in training})}
    return GeneratorSettings(
        adapter=AdapterSettings(**_said({key: given[key] for key in adapter})), **chosen
    )


def _wanted(
    given: Mapping[str, Any], data: Path | None, min_score: float | None
) -> "GeneratorWanted":
    from rag_pipeline.tuning.generator_report import GeneratorWanted

    return GeneratorWanted(
        examples=data,
        min_score=min_score,
        base=given["base"],
        name=given["name"],
        activates=given["activates"],
        keep_adapter=given["keep_adapter"],
        plot=given["plot"],
    )


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given; else the defaults hold."""
    return {key: value for key, value in given.items() if value is not None}


def _print(tuned: "TunedGenerator", *, as_json: bool) -> None:
    if as_json:
        print_json(tuned.as_json())
        return
    for line in _lines(tuned):
        click.echo(line)


def _lines(tuned: "TunedGenerator") -> Iterator[str]:
    trained = tuned.trained
    early = ", stopped early" if trained.stopped_early else ""
    name = "nothing registered" if tuned.model is None else tuned.model.reference
    yield (
        f"{name}: {tuned.examples['train']} {tuned.kind}, {len(trained.losses)} steps{early},"
        f" best after {trained.best.step}"
    )
    for reason, count in tuned.left_out.items():
        yield f"{count} left out: {reason}"
    yield f"on {tuned.examples['test']} held out, against {tuned.compared_with}:"
    for measure, one in tuned.judged.as_json().items():
        gain = one["gain"]
        yield (
            f"  {measure:<15} {one['before']:.4f} to {one['after']:.4f}, {gain['mean']:+.4f}"
            f" ({gain['low']:+.4f} to {gain['high']:+.4f})"
        )
    yield from _outcome(tuned)


def _outcome(tuned: "TunedGenerator") -> Iterator[str]:
    if tuned.is_activated and tuned.model is not None:
        yield f'activated: set generator = "version:{tuned.model.name}"'
    elif tuned.judged.is_better:
        yield "surely better; kept and not activated, as you wished"
    else:
        yield f"not surely better, and not activated: {tuned.judged.because}"
