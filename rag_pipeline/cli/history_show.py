"""`rag history show`"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json
from rag_pipeline.cli.place import place_in

if TYPE_CHECKING:
    from storage.records import Message, PromptRecord, Score

_SHOWN_CHARACTERS = 70
_UNFINISHED = "started, not completed: the program was stopped, or is still at work"


@click.command("show")
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
        messages = rag.history.messages(prompt.prompt_id)
        names = {one.template_id: f"{one.name}@{one.version}" for one in rag.templates.all()}
    template = names.get(prompt.template_id or 0, "default")
    if as_json:
        from rag_pipeline.history.as_json import shown_prompt

        print_json(shown_prompt(prompt, messages) | {"template": template})
    else:
        _print_prompt(prompt, messages, template)


def _print_prompt(prompt: "PromptRecord", messages: "Sequence[Message]", template: str) -> None:
    outcome = {"started": _UNFINISHED}.get(prompt.status, prompt.state or prompt.status)
    click.echo(f"prompt      {prompt.prompt_id}")
    click.echo(f"asked       {prompt.created_at.astimezone():%Y-%m-%d %H:%M:%S} by {prompt.user}")
    for said in messages[: -1 if prompt.answer is None else -2]:
        click.echo(f"before      {said.role}: {short(said.content)}")
    click.echo(f"question    {prompt.question}")
    if prompt.standalone is not None:
        click.echo(f"searched    {prompt.standalone}")
    click.echo(f"answer      {prompt.answer or '–'}")
    click.echo(f"outcome     {outcome}{f' ({prompt.error})' if prompt.error else ''}")
    click.echo(f"corpus      {prompt.collection}, generation {prompt.generation}")
    click.echo(f"model       {prompt.model}, weights {prompt.weights_sha256[:12]}…")
    click.echo(f"template    {template}, {prompt.template_sha256[:12]}…")
    for line in _about(prompt):
        click.echo(line)
    for citation in prompt.citations:
        place = place_in(
            citation.source,
            page=citation.page,
            headings=citation.headings,
            start=citation.start,
            end=citation.end,
        )
        click.echo(f"cited       {place}")
        click.echo(f"            “{short(citation.quote)}”")
    for shown in prompt.evidence:
        mark = "cited" if shown.cited else ""
        click.echo(
            f"evidence    {shown.rank}. chunk {shown.chunk_id} of document {shown.document_id},"
            f" score {shown.score:.3f} {mark}".rstrip()
        )
    _print_checks(prompt.checks or {})


def _about(prompt: "PromptRecord") -> Iterator[str]:
    """Where it belongs, what it took, and what people and rules say of it."""
    names = {
        "session": prompt.session,
        "application": prompt.application,
        "category": prompt.category,
        "tags": ", ".join(prompt.tags),
    }
    yield from (f"{name:<12}{value}" for name, value in names.items() if value)
    took = [
        f"{prompt.seconds:.2f} s" if prompt.seconds is not None else "",
        f"{tokens} tokens" if (tokens := prompt.usage.get("total_tokens")) else "",
        f"cost {prompt.cost:.6g}" if prompt.cost is not None else "",
        f"confidence {prompt.confidence:.2f}" if prompt.confidence is not None else "",
    ]
    if any(took):
        yield f"took        {', '.join(filter(None, took))}"
    yield from (f"score       {_said(score)}" for score in prompt.scores)


def _said(score: "Score") -> str:
    value = "–" if score.value is None else f"{score.value:g}"
    parts = [f"{score.metric} {value} by {score.user or score.judge_name}"]
    parts += [score.label or "", short(score.comment or "")]
    if score.correction is not None:
        parts.append(f"better: {short(score.correction)}")
    return "; ".join(filter(None, parts))


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
        click.echo(f"filtered    {short(removed)}")


def short(text: str) -> str:
    """The beginning of `text`, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
