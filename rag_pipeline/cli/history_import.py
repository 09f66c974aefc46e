"""`rag history import`"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from rag_pipeline.history.history_import import ImportFormat, ImportReport

_SHOWN_REASONS = 10


@click.command("import")
@click.argument("file", type=ANY_PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["records", "openai", "sharegpt", "llm"]),
    help="What FILE holds; else as it looks.",
)
@click.option("--user", metavar="NAME", help="Who asked, where FILE does not say it.")
@click.option(
    "--application",
    metavar="NAME",
    default="import",
    show_default=True,
    help="The program that was asked, where FILE does not say it.",
)
@click.option("--strict", is_flag=True, help="Take nothing in if anything in FILE can't be.")
@in_collection
@as_json_option
@at_home
def import_history(
    file: Path,
    form: "ImportFormat | None",
    user: str | None,
    application: str,
    strict: bool,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Take exchanges in from FILE, each once.

    FILE is an export of `--format records`, conversations as OpenAI or ShareGPT have them (JSONL),
    or the log of the program `llm` (logs.db). Lines that can't be taken in are told and left out.

    \b
    Example:
      rag history import exchanges.jsonl
      rag history import ~/.config/io.datasette.llm/logs.db --user ada
    """
    with opened(home, database) as rag:
        report = rag.history.import_file(
            file,
            form=form,
            user=user,
            collection=collection,
            application=application,
            strict=strict,
            on_progress=_progress if sys.stderr.isatty() else None,
        )
    if as_json:
        print_json(report.as_json())
        return
    for line in _lines(report):
        click.echo(line)


def _progress(written: int, total: int) -> None:
    click.echo(f"\r{written:,} of {total:,}", err=True, nl=written == total)


def _lines(report: "ImportReport") -> Iterator[str]:
    yield (
        f"{report.added} of {report.exchanges} exchanges taken in from {report.file}"
        f" ({report.form}); {report.known} were here already"
    )
    if report.without_parent:
        yield f"  {report.without_parent} follow one that is not here"
    if report.refused:
        say(f"{report.refused} could not be taken in:")
    for number, reason in report.reasons[:_SHOWN_REASONS]:
        say(f"  {number}: {reason}")
    if report.refused > _SHOWN_REASONS:
        say("  … (all with --json)")
