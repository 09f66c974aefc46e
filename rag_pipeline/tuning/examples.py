"""What an embedder is trained on: questions, passages that answer them and passages that do not."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from ingest.near_duplicates import NearIndex, Shingled, shingled, similarity
from rag_pipeline.history.training import group_of

_LEAST = 0.7
"""Share of the shorter text that has to stand in the longer one, as for near duplicates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A question, the passage that answers it, and passages that look like it and do not."""

    question: str
    positive: str
    negatives: tuple[str, ...] = ()

    @property
    def passages(self) -> tuple[str, ...]:
        """The positive first."""
        return (self.positive, *self.negatives)


@dataclass(frozen=True, slots=True)
class Kinship:
    """Which texts say nearly the same: each has the name of the first such text that came."""

    name_of: dict[str, str]

    @classmethod
    def among(cls, texts: Iterable[str]) -> "Kinship":
        """Of all `texts`, in their order."""
        index: NearIndex[str] = NearIndex()
        compared: dict[str, Shingled] = {}
        names: dict[str, str] = {}
        for text in dict.fromkeys(texts):
            own = shingled(text)
            keys = own.keys
            like = (c for c in index.candidates(keys) if similarity(own, compared[c]) >= _LEAST)
            names[text] = next(like, text)
            if names[text] == text:
                index.add(text, keys)
                compared[text] = own
        return cls(names)

    def are_same(self, first: str, second: str) -> bool:
        """Whether both say nearly the same."""
        return self.name_of[first] == self.name_of[second]


def groups(triples: Sequence[Triple]) -> list[str]:
    """For each triple the name of its group, which has to stay in one split.

    Those with questions of the same words, and those whose positives say nearly the same, are
    together, also over others.
    """
    kin = Kinship.among(triple.positive for triple in triples)
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    names = [
        ("question", group_of(triple.question), "passage", kin.name_of[triple.positive])
        for triple in triples
    ]
    for one in names:
        parent[root(one[2:])] = root(one[:2])
    first: dict[Hashable, str] = {}
    for one in names:
        first.setdefault(root(one[:2]), one[1])
    return [first[root(one[:2])] for one in names]
