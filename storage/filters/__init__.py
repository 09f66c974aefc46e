"""Filters: an expression language, its JSON form, and what it means in SQL."""

from storage.filters.expression import Filter, field_names
from storage.filters.json_form import as_json, from_json
from storage.filters.text import parse

__all__ = ["Filter", "as_json", "field_names", "from_json", "parse"]
