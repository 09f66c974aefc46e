"""`rag forget`"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rag_pipeline.cli.context import as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from rag_pipeline.erasure import Forgetting, Forgotten, Kind

Command = TypeVar("Command", bound=Callable[..., Any])
_STEPS = {
    "withdrawal": "taking it out of every search",
    "survey": "learning what to look for at the end",
    "learners": "looking for what has learnt it",
    "models": "removing what has learnt it, if that is wanted",
    "fits": "removing what was learnt half-way",
    "records": "taking the records out",
    "history": "taking it out of what was asked and answered",
    "exports": "looking for it in data sets",
    "members": "taking it out of data sets",
    "exchanges": "removing exchanges",
    "asker": "removing the name",
    "corpus": "removing texts and vectors",
    "late_answers": "looking for answers that were under way",
    "indexes": "writing the indexes anew",
    "leftovers": "removing what nothing refers to",
    "compact": "clearing what was removed out of the files",
    "scan": "looking through everything for what should be gone",
}


def erases(command: Command) -> Command:
    for option in (
        click.option("--dry-run", is_flag=True, help="Say how much would go; change nothing."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        click.option(
            "--compact",
            is_flag=True,
            help="On a server, write its tables anew too; that locks each meanwhile.",
        ),
        as_json_option,
        at_home,
    ):
        command = option(command)
    return command


_one_collection = click.option(
    "--collection", "-c", metavar="NAME", help="Only there; else in every collection."
)


@click.group()
def forget() -> None:
    """Forget a user, a conversation, a document or a source for good, and prove it.

    \b
    Example:
      rag forget document notes/salaries.txt --dry-run
      rag forget user alice --yes
    """


@forget.command()
@as_json_option
@at_home
def resume(as_json: bool, home: Path | None, database: str | None) -> None:
    """Complete what was begun and broken off; the next erasure would do that too.

    \b
    Example:
      rag forget resume
    """
    with opened(home, database) as rag:
        done = watched(rag.forget, quiet=as_json).resume()
    print_all(done, as_json=as_json)


@forget.command("list")
@as_json_option
@at_home
def list_erasures(as_json: bool, home: Path | None, database: str | None) -> None:
    """List all erasures, finished or not, with their certificates.

    \b
    Example:
      rag forget list --json
    """
    with opened(home, database) as rag:
        _print_list(rag.forget, as_json=as_json)


@forget.command()
@click.argument("name")
@erases
def user(name: str, **given: Any) -> None:
    """Forget all that somebody asked, was told, said of answers and uploaded.

    \b
    Example:
      rag forget user alice
    """
    compact = bool(given["compact"])
    _run("user", (name,), {}, lambda forget: forget.user(name, compact=compact), given)


@forget.command()
@click.argument("user_name", metavar="USER")
@click.argument("name")
@erases
def session(user_name: str, name: str, **given: Any) -> None:
    """Forget one conversation of a user.

    \b
    Example:
      rag forget session alice holidays
    """
    compact = bool(given["compact"])
    _run(
        "session",
        (user_name, name),
        {},
        lambda forget: forget.session(user_name, name, compact=compact),
        given,
    )


@forget.command()
@click.argument("document_id", metavar="ID")
@_one_collection
@click.option("--everywhere", is_flag=True, help="Its text too where other sources have it.")
@erases
def document(document_id: str, collection: str | None, everywhere: bool, **given: Any) -> None:
    """Forget the document that its source gives this ID, or that has this key.

    \b
    Example:
      rag forget document notes/salaries.txt
    """
    where = {"collection": collection, "everywhere": everywhere}
    compact = bool(given["compact"])
    _run(
        "document",
        (document_id,),
        where,
        lambda forget: forget.document(document_id, compact=compact, **where),  # type: ignore[arg-type]
        given,
    )


@forget.command()
@click.argument("uri")
@_one_collection
@erases
def source(uri: str, collection: str | None, **given: Any) -> None:
    """Forget all that was found at one place.

    \b
    Example:
      rag forget source file:///srv/notes/salaries.txt
    """
    compact = bool(given["compact"])
    _run(
        "source",
        (uri,),
        {"collection": collection},
        lambda forget: forget.source(uri, collection=collection, compact=compact),
        given,
    )


def _run(
    kind: "Kind",
    subject: tuple[str, ...],
    where: Mapping[str, Any],
    work: "Callable[[Forgetting], Forgotten]",
    given: Mapping[str, Any],
) -> None:
    with opened(given["home"], given["database"]) as rag:
        counts = rag.forget.preview(kind, *subject, **where)
        if given["dry_run"]:
            _print_counts(counts, as_json=given["as_json"])
            return
        if not given["yes"]:
            ask_first(_counted(counts))
        forgotten = work(watched(rag.forget, quiet=given["as_json"]))
    print_all([forgotten], as_json=given["as_json"], alone=True)


def ask_first(would_go: Iterable[str]) -> None:
    """Whoever is not at a terminal has to say so beforehand."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked; say --yes, or --dry-run to look first")
    for line in would_go:
        say(f"  {line}")
    click.confirm("Forget this? It can't be undone.", abort=True, err=True)


def watched(forget: "Forgetting", *, quiet: bool) -> "Forgetting":
    from dataclasses import replace

    return forget if quiet else replace(forget, watch=lambda step: say(f"{_STEPS[step]} …"))


def _print_counts(counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"would_forget": dict(counts)})
        return
    for line in _counted(counts):
        click.echo(line)


def _counted(counts: Mapping[str, int]) -> Iterator[str]:
    for name, count in counts.items():
        yield f"{count:>8} {name.replace('_', ' ')}"


def print_all(done: "list[Forgotten]", *, as_json: bool, alone: bool = False) -> None:
    if as_json:
        certificates = [one.certificate for one in done]
        print_json(certificates[0] if alone else {"completed": certificates})
        return
    if not done:
        click.echo("nothing is unfinished")
    for one in done:
        _print_certificate(one)


def _print_certificate(forgotten: "Forgotten") -> None:
    said = forgotten.certificate
    click.echo(f"erasure {said['erasure_id']} is complete: {_removed(said['counts'])}")
    if "scan" in said:
        _print_proof(said)
    click.echo(
        f"certificate {said['sha256']}" + (f" in {forgotten.path}" if forgotten.path else "")
    )


def _print_proof(said: Mapping[str, Any]) -> None:
    proof = said["scan"]
    click.echo(
        f"looked through {proof['columns']} columns and {proof['files']} files for"
        f" {proof['needles']} traces: none is left"
    )
    for name in said.get("exported_elsewhere", ()):
        click.echo(f"exported elsewhere, yours to delete: {name}")
    for name in said.get("models_trained_on_it", ()):
        click.echo(f"trained on it, and so may still know of it: {name}")
    for batch in said.get("batches_drawn_by_them", ()):
        click.echo(f"drawn by what was trained on it: batch {batch}")
    for name in said.get("models_deleted", ()):
        click.echo(f"trained on it, and removed: {name}")
    for name in proof["compressed_files"]:
        click.echo(f"compressed, and so not looked into: {name}")
    click.echo(f"not reached: {'; '.join(said['not_reached'])}")


def _removed(counts: Mapping[str, Mapping[str, int]]) -> str:
    total: dict[str, int] = {}
    for counted in counts.values():
        for name, count in counted.items():
            total[name] = total.get(name, 0) + count
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in total.items() if n) or "nothing"


def _print_list(forget: "Forgetting", *, as_json: bool) -> None:
    erasures = forget.erasures()
    if as_json:
        print_json(
            [
                {
                    "erasure_id": one.erasure_id,
                    "kind": one.kind,
                    "requested_by": one.requested_by,
                    "started_at": one.started_at.isoformat(),
                    "completed_at": one.completed_at and one.completed_at.isoformat(),
                    "certificate": one.certificate,
                }
                for one in erasures
            ]
        )
        return
    if not erasures:
        click.echo("nothing was erased yet")
    for one in erasures:
        state = "complete" if one.completed_at else "unfinished: run `rag forget resume`"
        when = one.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"{one.erasure_id:>4}  {when}  {one.kind:<8}  {one.requested_by}: {state}")
