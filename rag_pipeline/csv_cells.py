"""Cells of CSV files that spreadsheets will open, whoever wrote what stands in them.

A spreadsheet runs a text that begins like a formula (CWE-1236, "Improper neutralization of formula
elements in a CSV file"): an apostrophe before it makes it a text again.
"""

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def is_formula(value: object) -> bool:
    """Whether it is a text that a spreadsheet would run. (Of -5 it makes the number that it is.)"""
    is_text = isinstance(value, str) and value.startswith(_FORMULA)
    return is_text and _NUMBER.fullmatch(str(value)) is None


def harmless(value: object) -> object:
    """The same, with an apostrophe before what would be run."""
    return f"'{value}" if is_formula(value) else value
