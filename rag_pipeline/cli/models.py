"""`rag models`"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import Given, as_json_option
from rag_pipeline.cli.output import FAILED, print_json, say
from rag_pipeline.cli.versions import COMMANDS

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings
    from rag_pipeline.weights.runtimes import EmbedderRuntimes
    from rag_pipeline.weights.store import WeightStore

_MEGABYTE = 1_000_000


@click.group()
def models() -> None:
    """Manage the model weights on this machine, which all homes share; and registered versions."""


@models.command("list")
@as_json_option
def list_models(as_json: bool) -> None:
    """List the models that packages ship.

    \b
    Example:
      rag models list
    """
    listing = _store().listing()
    if as_json:
        print_json([{**asdict(m), "folder": str(m.folder) if m.folder else None} for m in listing])
        return
    for model in listing:
        size = f"{model.size_bytes / _MEGABYTE:.0f} MB"
        click.echo(
            f"{model.name:<10} {model.role:<10} {size:>7}  {model.state:<10}  {model.licence}"
        )
        click.echo(f"           {model.description}")


@models.command("pull")
@click.argument("names", nargs=-1)
def pull_models(names: tuple[str, ...]) -> None:
    """Fetch the weights of NAMES, or of all models of the list; at once where they are there.

    An embedder is also made ready for the runtime that the settings choose.

    \b
    Example:
      rag models pull smollm2
    """
    store = _store()
    for name in names or tuple(store.catalogue):
        entry = store.entry(name)
        store.pull(entry, say)
        if entry.role == "embedder":
            say(f"{name} {_runtimes().prepare(store.resolve(name))}")


@models.command("verify")
@click.argument("names", nargs=-1)
def verify_models(names: tuple[str, ...]) -> None:
    """Compare the weights of NAMES, or of all that are here, with what is recorded.

    \b
    Example:
      rag models verify
    """
    store = _store()
    here = [model.name for model in store.listing() if model.state != "not pulled"]
    problems: list[str] = []
    for name in names or here:
        found = store.verify(store.entry(name))
        click.echo(f"{name}: {'; '.join(found) or 'as recorded'}")
        problems += found
    if problems:
        raise SystemExit(FAILED)


for command in COMMANDS:
    models.add_command(command)


def _store() -> "WeightStore":
    from rag_pipeline.weights.store import WeightStore

    return WeightStore(_settings().cache_dir)


def _runtimes() -> "EmbedderRuntimes":
    from rag_pipeline.weights.runtimes import EmbedderRuntimes

    return EmbedderRuntimes(_settings().embedding, _settings().cache_dir)


def _settings() -> "Settings":
    from rag_pipeline.settings import load_settings

    given = click.get_current_context().find_object(Given) or Given()
    return load_settings(home=given.home)
