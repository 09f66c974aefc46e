"""JSON that is no record of ours: every value on a line, after the path that leads to it."""

import json
from collections.abc import Iterator

from ingest.errors import RefusedError
from ingest.parse.encoding import decode
from ingest.records import ParsedText

Node = dict[str, "Node"] | list["Node"] | str | bool | None

MAX_DEPTH = 64
"""Objects and lists inside one another; each line repeats its path, so depth costs length."""


def parse(data: bytes) -> ParsedText:
    """`path: value` lines, e.g. `lamps[0].colour: white`; the title is a top-level `title`.

    Numbers stay as they were written. Items of a list at the top are set apart by blank lines.
    Raises RefusedError for what is not JSON (with line and column) or is nested too deeply.
    """
    tree = _tree(decode(data))
    title = tree.get("title") if isinstance(tree, dict) else None
    return ParsedText(text=_text(tree), title=title if isinstance(title, str) else "")


def _tree(text: str) -> Node:
    try:
        tree: Node = json.loads(
            text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=str
        )
    except json.JSONDecodeError as error:
        raise RefusedError(_complaint(error)) from error
    except RecursionError as error:
        raise RefusedError(f"it is nested more than {MAX_DEPTH} deep: flatten it") from error
    return tree


def _complaint(error: json.JSONDecodeError) -> str:
    reason = f"it is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    if error.msg == "Extra data":
        return f"{reason}; if each line is a record of its own, name the file .jsonl"
    return reason


def _text(tree: Node) -> str:
    if isinstance(tree, list):
        return "\n\n".join("\n".join(_lines(item, f"[{i}]", 2)) for i, item in enumerate(tree))
    return "\n".join(_lines(tree, "", 1))


def _lines(node: Node, path: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise RefusedError(f"it is nested more than {MAX_DEPTH} deep: flatten it")
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _lines(value, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _lines(value, f"{path}[{position}]", depth + 1)
    elif node not in (None, ""):
        yield f"{path}: {_shown(node)}" if path else _shown(node)


def _shown(leaf: Node) -> str:
    return str(leaf).lower() if isinstance(leaf, bool) else str(leaf)
