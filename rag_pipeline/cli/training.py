"""What the commands that train share: the seed, and how a training goes on."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.output import say

if TYPE_CHECKING:
    from rag_pipeline.training.progress import Progress

seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn."
)


def told() -> "Callable[[Progress], None]":
    """Says on stderr how a training goes on: validations, and on a terminal every step."""
    is_watched = sys.stderr.isatty()

    def tell(progress: "Progress") -> None:
        if progress.validation is not None:
            say(f"step {progress.step} of {progress.steps}: held back {progress.validation:.4f}")
        elif progress.loss is None:
            say(f"going on from step {progress.step} of {progress.steps}")
        elif is_watched:
            click.echo(
                f"\rstep {progress.step} of {progress.steps}: loss {progress.loss:.4f}\033[K\r",
                nl=False,
                err=True,
            )

    return tell
