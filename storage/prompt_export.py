"""Recorded exchanges whole and in order, a batch at a time: what data sets are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import Connection

from storage.bulk import batches
from storage.engine import Database
from storage.history import all_citations, all_evidence, all_scores, prompt_record, prompts
from storage.models.prompts import PromptRow
from storage.prompt_listing import PromptsWanted, conditions
from storage.reading import CorpusReader
from storage.records import ChunkId, Origin, Principal, PromptRecord

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
    keys = _keys(database, wanted)
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


def _keys(database: Database, wanted: PromptsWanted) -> Sequence[str]:
    """Ids alone: what is recorded meanwhile is no part of what is exported."""
    statement = prompts().with_only_columns(PromptRow.prompt_id).where(*conditions(wanted))
    with database.read() as connection:
        return (
            connection.execute(statement.order_by(PromptRow.created_at, PromptRow.prompt_id))
            .scalars()
            .all()
        )


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
