"""Where documents come from: the port between whatever is read and the pipeline.

A feed names its resources (files, pages, the result of a query) without reading them. Of each the
pipeline knows the stamp under which it was last read through; it opens what has another one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ingest.records import RawDocument, Refusal


@dataclass(frozen=True, slots=True)
class ReadThrough:
    """The last item of a resource that was read to its end and did not change meanwhile."""

    stamp: str | None
    """What it looked like: an equal stamp at the next run means that nothing has changed. None
    where nothing about it can be trusted without reading it."""


@dataclass(frozen=True, slots=True)
class Unmodified:
    """The only item of a resource whose keeper says that it still is as `known` says."""


Item: TypeAlias = RawDocument | Refusal | ReadThrough | Unmodified


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that holds documents; all of them have its `uri`."""

    uri: str
    stamp: str | None
    """Its state, as far as it can be told without reading: size and times, an entity tag."""
    read: Callable[[str | None], Iterator[Item]]
    """Its documents, given the stamp under which it was last read through, if it ever was. A
    refusal says what could not be read; the stamp is then not remembered."""


class Feed(Protocol):
    """A set of resources that is ingested together."""

    def resources(self) -> Iterator[Resource | Refusal]:
        """All of them, each once, in an order that stays the same; nothing is read ahead.

        A refusal is a place that could not be looked into.
        """

    def covers(self, uri: str) -> bool:
        """Whether a stored document with this `uri` came from here: what is covered and is not
        found any more is gone, and `prune` removes it."""
