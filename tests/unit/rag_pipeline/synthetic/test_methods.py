"""Which method learns what, and its settings, as a command line gives them."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.methods import default_method, methods, settings_of
from rag_pipeline.synthetic.tables.table import Column, Schema, Table

METHOD = "table/autoregressive"


def test_what_is_given_takes_the_place_of_a_default() -> None:
    found = settings_of(METHOD, {"width": 8, "learning_rate": 1})
    assert (found.width, found.learning_rate) == (8, 1)


@pytest.mark.parametrize("name", [*methods("table"), *methods("image")])
def test_the_defaults_of_a_method_fit_their_types(name: str) -> None:
    defaults = asdict(settings_of(name, {}))
    assert asdict(settings_of(name, defaults)) == defaults


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"breadth": 8}, "it has width, depth"),
        ({"width": "8"}, "width = '8'"),
        ({"width": 8.5}, "width = 8.5"),
        ({"width": True}, "width = True"),
        ({"width": None}, "width = None"),
        ({"learning_rate": [1]}, r"learning_rate = \[1\]"),
    ],
)
def test_what_a_method_has_no_use_for_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SyntheticError, match=said):
        settings_of(METHOD, given)


def table(records: int, *, numbers: int = 0, codes: int = 0, names: int = 0) -> Table:
    """So many columns of each kind; `codes` are numbers of few values."""
    kinds = {
        **{f"number{n}": ("number", np.arange(float(records))) for n in range(numbers)},
        **{f"code{n}": ("integer", np.arange(float(records)) % 20) for n in range(codes)},
        **{f"name{n}": ("category", np.full(records, "a", object)) for n in range(names)},
        "key": ("category", np.arange(records).astype(str).astype(object)),
    }
    columns = [
        Column(name=name, kind=kind, is_key=name == "key") for name, (kind, _) in kinds.items()
    ]
    return Table(
        schema=Schema(columns=tuple(columns)),
        values={name: values for name, (_, values) in kinds.items()},
    )


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (table(2_000, numbers=2, names=1), "table/flow"),
        (table(1_999, numbers=2, names=1), "table/autoregressive"),
        (table(2_000, numbers=2, names=2), "table/autoregressive"),
        (table(2_000, numbers=2, codes=2), "table/autoregressive"),
        (table(2_000, numbers=2, codes=1), "table/flow"),
    ],
)
def test_many_records_of_numbers_are_learnt_by_a_flow(records: Table, found: str) -> None:
    assert default_method("table", records) == found


def test_other_kinds_of_data_have_one_default() -> None:
    numbers = table(2_000, numbers=2)
    assert default_method("series", numbers) == "series/recurrent"
    assert default_method("image", numbers) == "image/diffusion"
