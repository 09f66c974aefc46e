"""`rag history`"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json
from rag_pipeline.cli.place import place_in

if TYPE_CHECKING:
    from storage.records import AnswerState, PromptRecord

_SHOWN_CHARACTERS = 70
_UNFINISHED = "started, not completed: the program was stopped, or is still at work"


@click.group()
def history() -> None:
    """Look up what was asked and answered, and from which evidence."""


@history.command("list")
@click.option("-n", "limit", type=int, default=20, show_default=True, help="How many, at most.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--session", metavar="NAME", help="Only of this conversation.")
@click.option("--state", type=click.Choice(["grounded", "partial", "no_evidence"]))
@as_json_option
@at_home
def list_prompts(
    limit: int,
    user: str | None,
    session: str | None,
    state: "AnswerState | None",
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """List exchanges, newest first.

    \b
    Example:
      rag history list -n 5 --state no_evidence
    """
    with opened(home, database) as rag:
        prompts = rag.history.list(limit=limit, user=user, session=session, state=state)
    if as_json:
        from rag_pipeline.history.as_json import whole_prompt

        print_json([whole_prompt(prompt) for prompt in prompts])
        return
    if not prompts:
        click.echo("nothing was asked yet")
    for prompt in prompts:
        when = prompt.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        outcome = prompt.state or prompt.status
        question = _short(prompt.question)
        click.echo(f"{prompt.prompt_id}  {when}  {outcome:<11}  {prompt.user}: {question}")


@history.command("show")
@click.argument("prompt_id")
@as_json_option
@at_home
def show_prompt(prompt_id: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show one exchange with its evidence; a unique beginning of PROMPT_ID is enough.

    \b
    Example:
      rag history show 019a6c
    """
    with opened(home, database) as rag:
        prompt = rag.history.show(prompt_id)
    if as_json:
        from rag_pipeline.history.as_json import whole_prompt

        print_json(whole_prompt(prompt))
    else:
        _print_prompt(prompt)


def _print_prompt(prompt: "PromptRecord") -> None:
    outcome = {"started": _UNFINISHED}.get(prompt.status, prompt.state or prompt.status)
    click.echo(f"prompt      {prompt.prompt_id}")
    click.echo(f"asked       {prompt.created_at.astimezone():%Y-%m-%d %H:%M:%S} by {prompt.user}")
    click.echo(f"question    {prompt.question}")
    if prompt.standalone is not None:
        click.echo(f"searched    {prompt.standalone}")
    click.echo(f"answer      {prompt.answer or '–'}")
    click.echo(f"outcome     {outcome}{f' ({prompt.error})' if prompt.error else ''}")
    click.echo(f"corpus      {prompt.collection}, generation {prompt.generation}")
    click.echo(f"model       {prompt.model}, weights {prompt.weights_sha256[:12]}…")
    for citation in prompt.citations:
        place = place_in(
            citation.source,
            page=citation.page,
            headings=citation.headings,
            start=citation.start,
            end=citation.end,
        )
        click.echo(f"cited       {place}")
        click.echo(f"            “{_short(citation.quote)}”")
    for shown in prompt.evidence:
        mark = "cited" if shown.cited else ""
        click.echo(
            f"evidence    {shown.rank}. chunk {shown.chunk_id} of document {shown.document_id},"
            f" score {shown.score:.3f} {mark}".rstrip()
        )
    _print_checks(prompt.checks or {})


def _print_checks(checks: Mapping[str, Any]) -> None:
    """What spoke to a model in the passages, and what was taken out of the answer."""
    for found in checks.get("suspicious", ()):
        use = "used all the same" if found["admitted"] else "not used"
        click.echo(
            f"suspicious  chunk {found['chunk_id']}, characters {found['start']} to {found['end']}:"
            f" {found['reason']}; {use}"
        )
    if checks.get("neutralised"):
        click.echo(f"neutralised {checks['neutralised']} places of the passages")
    for removed in checks.get("filtered", ()):
        click.echo(f"filtered    {_short(removed)}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
