"""`rag history export`"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json
from rag_pipeline.cli.splits import plan_given

if TYPE_CHECKING:
    from rag_pipeline.history.export import TrainingReport
    from rag_pipeline.history.formats import TrainingFormat
    from storage.records import AnswerState


@click.command("export")
@click.argument("out", type=ANY_PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["openai", "sharegpt", "alpaca", "pairs", "dpo", "triples", "records"]),
    default="openai",
    show_default=True,
    help="What trainers read: messages, preferences (dpo), or passages to tell apart (triples);"
    " records: all that is on record, for `rag history import`.",
)
@click.option(
    "--min-score", type=float, metavar="0…1", help="Only answers rated so or better; or corrected."
)
@click.option("--dedup", is_flag=True, help="Leave out what says the same as another example.")
@click.option(
    "--split",
    metavar="NAME=SHARE,…",
    help="A file for each: train=80,dev=10,test=10; a question is in one of them only.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of --split.")
@click.option("--redact", is_flag=True, help="Take out mail, phone, card, account and IP numbers.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--session", metavar="NAME", help="Only of this conversation.")
@click.option("--state", type=click.Choice(["grounded", "partial", "no_evidence"]))
@click.option("--words", default="", help="Only where question or answer have all of these words.")
@click.option("--since", metavar="DATE", help="Only of this day or later.")
@click.option("--until", metavar="DATE", help="Only of this day or earlier.")
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@click.option("--register", metavar="NAME", help="Put it on record as a version of this data set.")
@as_json_option
@at_home
def export(
    out: Path,
    form: "TrainingFormat | Literal['records']",
    min_score: float | None,
    dedup: bool,
    split: str | None,
    seed: int,
    redact: bool,
    user: str | None,
    session: str | None,
    state: "AnswerState | None",
    words: str,
    since: str | None,
    until: str | None,
    force: bool,
    register: str | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Write exchanges as training data to OUT, a .jsonl or .parquet file.

    Answers that stand on evidence, and what people corrected them to.

    \b
    Example:
      rag history export train.jsonl --min-score 0.7 --dedup --redact
      rag history export pairs.jsonl --format dpo --split train=90,test=10
    """
    from rag_pipeline.history.export import TrainingData
    from rag_pipeline.history.redaction import redact_patterns

    redactor = redact_patterns if redact else None
    if form == "records":
        if min_score is not None or dedup or split is not None or register is not None:
            raise click.UsageError(
                "--min-score, --dedup, --split and --register are for training data, not for"
                " records"
            )
        with opened(home, database) as rag:
            records = rag.history.export_records(
                out,
                redactor=redactor,
                overwrite=force,
                user=user,
                session=session,
                state=state,
                words=words,
                since=since,
                until=until,
            )
        if as_json:
            print_json(records.as_json())
        else:
            click.echo(f"{records.exchanges} exchanges in {out}, sha256 {records.sha256}")
        return
    data = TrainingData(
        form=form,
        min_score=min_score,
        dedup=dedup,
        plan=plan_given(split, seed=seed, option="--split"),
        redactor=redactor,
    )
    with opened(home, database) as rag:
        report = rag.history.export(
            out,
            data,
            user=user,
            session=session,
            state=state,
            words=words,
            since=since,
            until=until,
            overwrite=force,
            register=register,
        )
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)


def _print_report(report: "TrainingReport") -> None:
    click.echo(
        f"{report.examples.total()} examples of the form {report.form},"
        f" of {report.exchanges} exchanges; {report.duplicates} duplicates left out"
    )
    for split, path in report.files.items():
        name = f"{split}: " if split else ""
        click.echo(f"  {name}{report.examples[split]} in {path}, sha256 {report.sha256[split]}")
