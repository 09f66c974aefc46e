"""Defaults that the command line shows in its help, where nothing heavy may be imported."""

from typing import Literal

DEFAULT_COLLECTION = "default"

Mode = Literal["hybrid", "vector", "keyword"]
Origins = Literal["real", "synthetic", "both"]
