"""What all commands share: where the pipeline is, and how it is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rag_pipeline.defaults import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from rag_pipeline.pipeline import RagPipeline


class NamedPath(click.Path):
    """A path that is not empty: an unset variable of a script must not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a file or folder, or leave it out", param, ctx)
        return super().convert(value, param, ctx)


ANY_PATH: click.Path = NamedPath(path_type=Path, readable=False)
"""A path that click doesn't open: what can't be read is said where it is read, in one line."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was said before the command's name."""

    home: Path | None = None
    database: str | None = None
    debug: bool = False


def at_home(command: Command) -> Command:
    """Let a command take --home and --database too, before those given to `rag` itself."""
    for option in (
        click.option("--database", metavar="URL", help="Keep the truth in this database instead."),
        click.option("--home", type=ANY_PATH, help="Folder of database and indexes."),
    ):
        command = option(command)
    return command


in_collection = click.option(
    "--collection",
    "-c",
    metavar="NAME",
    default=DEFAULT_COLLECTION,
    show_default=True,
    help="Documents that are searched together.",
)

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
)


def opened(home: Path | None, database: str | None) -> "RagPipeline":
    """The pipeline that the command line names."""
    # Imported here, as in all commands: help has to answer at once.
    from rag_pipeline.pipeline import RagPipeline

    given = click.get_current_context().find_object(Given) or Given()
    return RagPipeline.open(home or given.home, database=database or given.database)
