"""`rag history chain`"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from storage.prompts.listing import Chain, ListedPrompt

_SHOWN_CHARACTERS = 70
_Below = Mapping[str | None, Sequence["ListedPrompt"]]


@click.command("chain")
@click.argument("prompt_id")
@as_json_option
@at_home
def chain(prompt_id: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show what led to an exchange, and what followed from it, as a tree.

    A unique beginning of PROMPT_ID is enough; it is marked with an asterisk.

    \b
    Example:
      rag history chain 019a6c
    """
    with opened(home, database) as rag:
        key = rag.history.show(prompt_id).prompt_id
        found = rag.history.chain(key)
    if as_json:
        print_json(_as_json(found, key))
        return
    for line in drawn(found, key):
        click.echo(line)
    if found.is_cut:
        say(f"only the first {len(found.prompts)} exchanges of the tree are shown")


def _as_json(found: "Chain", key: str) -> Mapping[str, Any]:
    from rag_pipeline.history.as_json import listed_prompt

    return {
        "prompt_id": key,
        "root": found.prompts[0].prompt.prompt_id,
        "truncated": found.is_cut,
        "prompts": [
            listed_prompt(one.prompt) | {"rating": one.rating, "is_asked": _id(one) == key}
            for one in found.prompts
        ],
    }


def drawn(found: "Chain", key: str) -> Iterator[str]:
    """The tree, a line for each exchange; the one with the id `key` is marked."""
    below: dict[str | None, list[ListedPrompt]] = {}
    root = found.prompts[0]
    for one in found.prompts[1:]:
        below.setdefault(one.prompt.parent_id, []).append(one)
    yield _line(root, key)
    yield from _branches(root, below, key)


def _branches(root: "ListedPrompt", below: _Below, key: str) -> Iterator[str]:
    """What follows from `root`, without recursion: a conversation may be very long."""
    waiting = _hung(root, "", below)
    while waiting:
        one, indent, is_last = waiting.pop()
        yield f"{indent}{'└─' if is_last else '├─'} {_line(one, key)}"
        waiting += _hung(one, indent + ("   " if is_last else "│  "), below)


def _hung(
    parent: "ListedPrompt", indent: str, below: _Below
) -> "list[tuple[ListedPrompt, str, bool]]":
    """The children of `parent`, the oldest at the end."""
    children = below.get(_id(parent), ())
    return [(one, indent, one is children[-1]) for one in reversed(children)]


def _line(one: "ListedPrompt", key: str) -> str:
    prompt = one.prompt
    when = prompt.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    rating = "" if one.rating is None else f", rated {one.rating:.2f}"
    outcome = f"{prompt.state or prompt.status}{rating}"
    text = f"{prompt.prompt_id}  {when}  [{outcome}]  {prompt.user}: {_short(prompt.question)}"
    return click.style(f"* {text}", bold=True) if _id(one) == key else text


def _id(one: "ListedPrompt") -> str:
    return one.prompt.prompt_id


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
