"""Writes a graph of entities as GraphML (http://graphml.graphdrawing.org) or as lines of JSON."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from storage.entities import Edge, Entity

_HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns'
    ' http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">',
)
_KEYS = (
    ("label", "node", "string"),
    ("kind", "node", "string"),
    ("mentions", "node", "int"),
    ("documents", "node", "int"),
    ("answers", "node", "int"),
    ("weight", "edge", "int"),
)
_NOT_IN_XML = re.compile(r"[^\t\n\r -\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def write_graphml(out: TextIO, entities: Iterable[Entity], edges: Iterable[Edge]) -> None:
    """An undirected graph whose edges weigh in how many sentences both ends stand."""
    out.writelines(f"{line}\n" for line in _lines(entities, edges))


def write_json_lines(out: TextIO, entities: Iterable[Entity], edges: Iterable[Edge]) -> None:
    """An object for each entity, then one for each edge, told apart by `type`."""
    for entity in entities:
        node = {"type": "entity", "id": _id(entity.entity_id), **entity_json(entity)}
        out.write(f"{json.dumps(node, ensure_ascii=False)}\n")
    for edge in edges:
        pair = {"source": _id(edge.first), "target": _id(edge.second), "weight": edge.weight}
        out.write(f"{json.dumps({'type': 'edge', **pair})}\n")


def entity_json(entity: Entity) -> dict[str, object]:
    """The stable interface; keys may be added, none is changed or removed."""
    return {
        "name": entity.name,
        "kind": entity.kind,
        "names": list(entity.names),
        "documents": entity.documents,
        "mentions": entity.mentions,
        "answers": entity.answers,
    }


def _lines(entities: Iterable[Entity], edges: Iterable[Edge]) -> Iterator[str]:
    yield from _HEADER
    for name, target, kind in _KEYS:
        yield f'<key id="{name}" for="{target}" attr.name="{name}" attr.type="{kind}"/>'
    yield '<graph id="entities" edgedefault="undirected">'
    for entity in entities:
        values = (entity.name, entity.kind, entity.mentions, entity.documents, entity.answers)
        named = zip(("label", "kind", "mentions", "documents", "answers"), values, strict=True)
        described = "".join(f'<data key="{key}">{_text(value)}</data>' for key, value in named)
        yield f"<node id={quoteattr(_id(entity.entity_id))}>{described}</node>"
    for edge in edges:
        ends = f'source="{_id(edge.first)}" target="{_id(edge.second)}"'
        yield f'<edge {ends}><data key="weight">{edge.weight}</data></edge>'
    yield "</graph>"
    yield "</graphml>"


def _id(entity: int) -> str:
    return f"n{entity}"


def _text(value: object) -> str:
    return escape(_NOT_IN_XML.sub("�", str(value)))
