"""Settings of methods, as a command line gives them."""

from dataclasses import asdict
from typing import Any

import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.methods import methods, settings_of

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
