"""`rag synth forget`"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import opened
from rag_pipeline.cli.forget import ask_first, erases, print_all, watched
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from rag_pipeline.record_erasure import Concerned


@click.command()
@click.argument("name")
@click.option(
    "--where",
    metavar="EXPR",
    required=True,
    help="Which real records go, like \"email = 'ann@example.org'\".",
)
@click.option(
    "--with-models", is_flag=True, help="Remove what has learnt them too, and all that it drew."
)
@erases
def forget(name: str, where: str, with_models: bool, **given: Any) -> None:
    """Forget real records of the set NAME for good, and prove it; what was drawn stays.

    Versions that learnt from them are named. They draw no more, but still are there.

    \b
    Example:
      rag synth forget people --where "id = 'p17'" --dry-run
      rag synth forget people --where "id = 'p17'" --with-models --yes
    """
    as_json = bool(given["as_json"])
    with opened(given["home"], given["database"]) as rag:
        found = rag.forget.preview_records(name, where)
        if given["dry_run"]:
            _print_concerned(found, as_json=as_json)
            return
        if not given["yes"]:
            ask_first(_lines(found))
        done = watched(rag.forget, quiet=as_json).records(
            name, where, with_models=with_models, compact=bool(given["compact"])
        )
    print_all([done], as_json=as_json, alone=True)
    if "models_trained_on_it" in done.certificate:
        say(f"`rag synth delete {name} --model NAME@N` removes such a version, and what it drew")


def _print_concerned(found: "Concerned", *, as_json: bool) -> None:
    if as_json:
        print_json({"would_forget": found.as_json()})
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: "Concerned") -> Iterator[str]:
    batches = ", ".join(map(str, found.batches))
    yield f"{found.records:>8} real records, in batch {batches}"
    for name, some in (
        ("held by the data set", found.datasets),
        ("learnt by the model", found.models),
        ("drawn by these: batch", tuple(map(str, found.drawn))),
    ):
        if some:
            yield f"{name} {', '.join(some)}"
