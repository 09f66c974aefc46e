"""Exchanges as a table, as JSON, a line each, or as CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeVar

import click

from rag_pipeline.csv_cells import harmless

Form = Literal["table", "json", "jsonl", "csv"]
Command = TypeVar("Command", bound=Callable[..., Any])
CSV_FIELDS = (
    "prompt_id",
    "created_at",
    "user",
    "session",
    "application",
    "model",
    "collection",
    "category",
    "tags",
    "status",
    "state",
    "rating",
    "confidence",
    "seconds",
    "cost",
    "question",
    "answer",
    "error",
)


def output_options(command: Command) -> Command:
    """Let a command take --json, --jsonl, --csv as `form`, and --fields."""
    for option in (
        click.option("--fields", metavar="NAME,…", help="Print only these, in this order."),
        click.option("--csv", "form", flag_value="csv", help="Print CSV, for spreadsheets."),
        click.option("--jsonl", "form", flag_value="jsonl", help="Print a JSON object a line."),
        click.option("--json", "form", flag_value="json", help="Print one JSON document."),
    ):
        command = option(command)
    return command


def print_rows(rows: Iterable[Mapping[str, Any]], form: Form, fields: str | None) -> None:
    """Print them as they come, unless they have to be one document.

    CSV is read by spreadsheets, and what people asked may be a formula: a text that begins like
    one gets an apostrophe before it. Raises `click.BadParameter` for a field that none has.
    """
    chosen = tuple(name.strip() for name in fields.split(",")) if fields is not None else None
    rows = _checked(iter(rows), chosen)
    if form == "csv":
        _print_csv(rows, chosen or CSV_FIELDS)
    elif form == "jsonl":
        for row in rows:
            click.echo(_json(_only(row, chosen)))
    else:
        click.echo(_json([_only(row, chosen) for row in rows]))


def _checked(
    rows: Iterable[Mapping[str, Any]], chosen: Sequence[str] | None
) -> Iterable[Mapping[str, Any]]:
    """The same rows. All have the same fields: the first says which."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return ()
    for name in chosen or ():
        if name not in first:
            raise click.BadParameter(
                f"there is no field {name!r}; there are {', '.join(first)}", param_hint="--fields"
            )
    return chain([first], rows)


def _only(row: Mapping[str, Any], chosen: Sequence[str] | None) -> Mapping[str, Any]:
    return row if chosen is None else {name: row[name] for name in chosen}


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _print_csv(rows: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(fields)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in fields])


def _cell(value: object) -> object:
    if isinstance(value, tuple | list) and all(isinstance(one, str) for one in value):
        value = ",".join(value)
    elif isinstance(value, Mapping | tuple | list):
        value = _json(value)
    return harmless(value)
