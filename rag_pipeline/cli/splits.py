"""Splits as an option of a command."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rag_pipeline.datasets.splits import SplitPlan


def plan_given(text: str | None, *, seed: int, option: str) -> "SplitPlan | None":
    """The plan that `option` was given, if any; what can't be followed is misuse of it."""
    from rag_pipeline.datasets.errors import DatasetError
    from rag_pipeline.datasets.splits import parse_plan

    if text is None:
        return None
    try:
        return parse_plan(text, seed=seed)
    except DatasetError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
