"""The words that the rules go by, from `lexicon.toml`."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


def lexicon(name: str) -> frozenset[str]:
    """The words of one list."""
    return frozenset(_file()[name].split())


@cache
def function_words(language: str) -> frozenset[str] | None:
    """Articles, prepositions and the like of a language besides English; None if unknown here."""
    words = _file()["function_words_of"].get(language)
    return None if words is None else frozenset(words.split())


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("lexicon.toml").read_text("utf-8"))
