"""Recorded exchanges whole and in order, a batch at a time: what data sets are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import Connection, select

from storage.bulk import batches
from storage.engine import Database
from storage.history import all_citations, all_evidence, prompt_record, prompts
from storage.models.prompts import PromptRow
from storage.prompts.listing import PromptsWanted, conditions
from storage.prompts.scores import all_scores
from storage.reading import CorpusReader
from storage.records import ChunkId, Origin, Principal, PromptId, PromptRecord

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A completed exchange, and what of its evidence may still be read."""

    prompt: PromptRecord
    passages: Mapping[ChunkId, str]
    """Texts of the chunks that were shown; those that are forgotten are not among them."""


def exchanges(database: Database, wanted: PromptsWanted) -> Iterator[Exchange]:
    """The exchanges that are wanted, oldest first. Memory does not grow with their number."""
    reader = CorpusReader(database)
    keys = prompt_ids(database, wanted)
    for batch in batches(keys, _BATCH):
        with database.read() as connection:
            found = _whole(connection, batch)
        for _, same in groupby(found, key=lambda prompt: prompt.generation):
            together = list(same)
            passages = _passages(reader, together, wanted.principal)
            yield from (
                Exchange(
                    prompt=prompt,
                    passages={
                        shown.chunk_id: passages[shown.chunk_id]
                        for shown in prompt.evidence
                        if shown.chunk_id in passages
                    },
                )
                for prompt in together
            )


def whole_prompts(database: Database, prompt_ids: Sequence[str]) -> list[PromptRecord]:
    """These exchanges, whole and in this order; whoever asks has made sure that they may be read.

    What is gone meanwhile is left out.
    """
    with database.read() as connection:
        found = {prompt.prompt_id: prompt for prompt in _whole(connection, prompt_ids)}
    return [found[PromptId(key)] for key in prompt_ids if PromptId(key) in found]


def prompt_ids(
    database: Database, wanted: PromptsWanted, *, newest: int | None = None
) -> Sequence[PromptId]:
    """Ids alone, oldest first, of all or of the `newest`: what is recorded meanwhile is not among
    them."""
    order = (PromptRow.created_at.desc(), PromptRow.prompt_id.desc())
    with database.read() as connection:
        statement = select(PromptRow.prompt_id).where(*conditions(connection, wanted))
        found = connection.execute(statement.order_by(*order).limit(newest)).scalars().all()
    return [PromptId(key) for key in reversed(found)]


def _whole(connection: Connection, keys: Sequence[str]) -> list[PromptRecord]:
    evidence = all_evidence(connection, keys)
    citations = all_citations(connection, keys)
    scores = all_scores(connection, keys)
    statement = prompts().where(PromptRow.prompt_id.in_(keys))
    rows = connection.execute(statement.order_by(PromptRow.created_at, PromptRow.prompt_id))
    return [
        replace(
            prompt_record(row),
            evidence=evidence.get(row["prompt_id"], ()),
            citations=citations.get(row["prompt_id"], ()),
            scores=scores.get(row["prompt_id"], ()),
        )
        for row in rows.mappings()
    ]


def _passages(
    reader: CorpusReader, found: Sequence[PromptRecord], principal: Principal
) -> dict[ChunkId, str]:
    """As they were at the generation that all of `found` were answered at."""
    shown = sorted({one.chunk_id for prompt in found for one in prompt.evidence})
    chunks = reader.chunks(
        shown,
        principal=principal,
        generation=found[0].generation,
        origins=frozenset(Origin),
    )
    return {key: chunk.text for key, chunk in chunks.items()}
