"""`rag synth questions`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.training import seed_option

if TYPE_CHECKING:
    from rag_pipeline.synthetic.texts.questions import Tally


@click.command()
@click.option("--out", type=ANY_PATH, required=True, metavar="FILE", help="JSONL, a question each.")
@click.option("-n", "count", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--per-document", type=click.IntRange(min=1), default=5, show_default=True, help="At most."
)
@click.option(
    "--judgments",
    type=ANY_PATH,
    metavar="FOLDER",
    help="Write what `rag eval retrieval` reads, too.",
)
@seed_option
@in_collection
@as_json_option
@at_home
def questions(
    out: Path,
    count: int,
    per_document: int,
    judgments: Path | None,
    seed: int,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Write questions about the stored documents, with the answers that stand there.

    The generator words them; only those are kept that are found and answered again.

    \b
    Example:
      rag synth questions --out questions.jsonl -n 50
      rag eval answers questions.jsonl
    """
    from rag_pipeline.synthetic.texts.questions import QuestionsWanted, Tally, write_judgments

    tally = Tally()

    def told(now: "Tally") -> None:
        nonlocal tally
        tally = now
        say(_said(now))

    wanted = QuestionsWanted(
        count=count, per_document=per_document, seed=seed, collection=collection
    )
    written = []
    with opened(home, database) as rag, writing(out) as file:
        for one in rag.synthetic.questions(wanted, tell=told):
            written.append(one)
            file.write(json.dumps(one.as_json(len(written)), ensure_ascii=False) + "\n")
            file.flush()
    if judgments is not None:
        write_judgments(written, judgments)
    if as_json:
        print_json({"file": str(out), **tally.as_json()})
    else:
        click.echo(f"{_said(tally)} into {out}")


def _said(tally: "Tally") -> str:
    dropped = ", ".join(f"{count} {why}" for why, count in tally.dropped.most_common())
    return f"{tally.kept} questions kept" + (f" (dropped: {dropped})" if dropped else "")
