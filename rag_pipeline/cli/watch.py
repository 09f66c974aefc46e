"""`rag watch`"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, at_home, in_collection, opened
from rag_pipeline.cli.output import say
from rag_pipeline.cli.progress import shown
from rag_pipeline.cli.stopping import stopped_by_signals

if TYPE_CHECKING:
    from rag_pipeline.pipeline import RagPipeline

_POLL_MS = 500


@click.command()
@click.argument("paths", nargs=-1, required=True, type=ANY_PATH)
@in_collection
@click.option("--prune", is_flag=True, help="Remove what was under PATHS before and is gone now.")
@click.option(
    "--debounce",
    type=click.FloatRange(min=0.05),
    default=1.6,
    show_default=True,
    help="Seconds in which changes are gathered before they are ingested.",
)
@at_home
def watch(
    paths: tuple[Path, ...],
    collection: str,
    prune: bool,
    debounce: float,
    home: Path | None,
    database: str | None,
) -> None:
    """Ingest PATHS, and again whenever something changes there, until Ctrl-C or SIGTERM.

    A run that fails is named on stderr, and watching goes on. Exits with 0 when it is stopped.

    \b
    Example:
      rag watch docs/ --prune
    """
    with stopped_by_signals(), opened(home, database) as rag:
        for _ in _changes(paths, rag.settings.home, debounce):
            _ingest(rag, paths, collection=collection, prune=prune)


def _changes(paths: Sequence[Path], home: Path, debounce_s: float) -> Iterator[None]:
    """Once at the beginning, then after changes; those made during a run are not missed.

    Raises `PathError` for a path that is not there.
    """
    import watchfiles

    from ingest.errors import PathError

    for path in paths:
        if not path.exists():
            raise PathError(f"{str(path)!r} can't be watched: it is not there")
    ours = os.path.realpath(home)
    watching = watchfiles.watch(
        *paths,
        watch_filter=lambda _change, path: _is_theirs(path, ours),
        debounce=int(debounce_s * 1000),
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    # The first answer comes when the watch stands.
    for position, changes in enumerate(watching):
        if changes or position == 0:
            yield


def _is_theirs(path: str, home: str) -> bool:
    """What ingestion itself writes is no change; nor is what it would pass over."""
    real = os.path.realpath(path)
    hidden = Path(path).name.startswith(".")
    return not hidden and real != home and not real.startswith(home + os.sep)


def _ingest(rag: "RagPipeline", paths: Sequence[Path], *, collection: str, prune: bool) -> None:
    from ingest.errors import IngestError
    from storage.errors import StorageError

    try:
        with shown("auto") as told:
            report = rag.ingest(
                *paths, collection=collection, prune=prune, on_progress=told.observer.progressed
            )
    except (IngestError, StorageError) as error:
        say(f"Error: {error}; still watching")
        return
    counts = {name: n for name, n in report.as_json()["documents"].items() if n}
    said = ", ".join(f"{name} {n}" for name, n in counts.items()) or "nothing there"
    click.echo(f"{said}; generation {report.generation}, {report.seconds:.1f} s")
    for refusal in report.failures:
        if refusal.outcome == "refused":
            say(f"refused: {refusal.source}: {refusal.reason}")
