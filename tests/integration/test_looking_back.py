"""Points in time, the gate that holds a generation, and how an index gets from one to another."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update
from support.corpora import DIMENSION, place, vector_of, writing

from storage import gate
from storage.collection import (
    open_collection,
    retrieval_settings,
    set_retrieval_settings,
)
from storage.engine import Database
from storage.errors import AsOfError, LeaseLostError, NotFoundError
from storage.following import Follower
from storage.keyword_index.bm25 import Bm25Index
from storage.lease import writer_lease
from storage.models.corpus import GenerationRow
from storage.reading import CorpusReader
from storage.records import BEGINNING, Collection, Entries, Ids, Position
from storage.vector_index.exact import ExactVectorIndex

EAST = timezone(timedelta(hours=14))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def history(database: Database) -> Collection:
    """Three generations, committed at noon of 2, 3 and 4 March 2026."""
    with writing(database) as writer:
        for number in range(1, 4):
            writer.commit([place(f"s{number}", f"Text {number}.")])
    with database.write() as connection:
        for number in range(1, 4):
            connection.execute(
                update(GenerationRow)
                .where(GenerationRow.generation == number)
                .values(committed_at=NOON + timedelta(days=number - 1))
            )
    return writer.collection


@pytest.mark.parametrize(
    ("value", "generation"),
    [
        (1, 1),
        ("2", 2),
        (" 3 ", 3),
        (NOON, 1),
        (NOON + timedelta(hours=23, minutes=59), 1),
        (NOON + timedelta(days=1), 2),
        (datetime(2026, 3, 3, 12), 2),  # noqa: DTZ001 - without a zone it is UTC
        ("2026-03-02T12:00:00Z", 1),
        ("2026-03-03T13:00:00+02:00", 1),
        ("2026-03-03 12:00", 2),
        ("2026-03-03", 2),
        ("2026-03-10", 3),
    ],
)
def test_a_generation_and_a_time_name_a_position(
    database: Database, value: Any, generation: int
) -> None:
    history(database)
    reader = CorpusReader(database)
    assert reader.position_as_of(value).generation == generation
    assert reader.position_as_of(3) == reader.served() == reader.committed()


def test_today_means_what_is_known_of_it(database: Database) -> None:
    with writing(database) as writer:
        committed = writer.commit([place("a", "Now.")])
    today = datetime.now(UTC).date().isoformat()
    assert CorpusReader(database).position_as_of(today) == committed.position


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "before the first"),
        (-5, "before the first"),
        ("0", "before the first"),
        (4, "future: the newest that is served is 3"),
        ("2020", "future"),
        (10**30, "future"),
        ("9" * 19, "future"),
        (NOON - timedelta(seconds=1), "before the first generation, which is of 2026-03-02"),
        ("2026-03-01", "before the first generation"),
        ("9999-12-31", "future"),
        (datetime.max.replace(tzinfo=UTC), "future"),
        (datetime.min.replace(tzinfo=UTC), "before the first generation"),
        (datetime.min.replace(tzinfo=EAST), "before the first generation"),
        ("0001-01-01T00:00+14:00", "before the first generation"),
        ("yesterday", "neither"),
        ("", "neither"),
        ("'; DROP TABLE generations; --", "neither"),
        ("2026-02-30", "neither"),
        ("9" * 30, "neither"),
        ("1\0", "neither"),
        ("x" * 10_000, "neither"),
    ],
)
def test_a_time_that_cant_be_looked_back_to_is_named(
    database: Database, value: Any, said: str
) -> None:
    history(database)
    with pytest.raises(AsOfError, match=said) as raised:
        CorpusReader(database).position_as_of(value)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("value", [1, "2026-01-01", NOON])
def test_an_empty_corpus_has_no_past(database: Database, value: Any) -> None:
    with pytest.raises(AsOfError, match="nothing was ingested yet"):
        CorpusReader(database).position_as_of(value)


def test_what_is_held_back_is_not_looked_forward_to(database: Database) -> None:
    history(database)
    reader = CorpusReader(database)
    with writer_lease(database) as fence:
        gate.hold(database, 2, fence=fence)
        assert gate.held_at(database) == 2
        assert reader.served().generation == 2
        assert reader.committed().generation == 3
        assert reader.position_as_of("2026-03-10").generation == 2
        with pytest.raises(AsOfError, match="future"):
            reader.position_as_of(3)
        gate.hold(database, 0, fence=fence)
        assert reader.served() == BEGINNING
        gate.release(database, fence=fence)
    assert gate.held_at(database) is None
    assert reader.served().generation == 3


def test_a_writer_that_was_overtaken_moves_no_gate(database: Database) -> None:
    history(database)
    with writer_lease(database) as late:
        pass
    with writer_lease(database) as fence:
        with pytest.raises(LeaseLostError):
            gate.hold(database, 1, fence=late)
        gate.hold(database, 2, fence=fence)
        with pytest.raises(LeaseLostError):
            gate.release(database, fence=late)
        for generation in (-1, 4):
            with pytest.raises(NotFoundError, match=re.escape("there are 0 to 3")):
                gate.hold(database, generation, fence=fence)
    assert gate.held_at(database) == 2


class CountingIndex(ExactVectorIndex):
    """Knows what it was told to do."""

    def __init__(self) -> None:
        super().__init__(dimension=DIMENSION)
        self.resets = 0
        self.applied_rows = 0

    def apply(self, *, removed: Ids, added: Entries, position: Position) -> None:
        self.applied_rows += removed.size + added.ids.size
        super().apply(removed=removed, added=added, position=position)

    def reset(self) -> None:
        self.resets += 1
        super().reset()


def test_a_served_position_that_goes_back_is_reached_by_the_changes_between(
    database: Database,
) -> None:
    with writing(database) as writer:
        first = writer.commit([place(f"s{n}", f"Text {n}.") for n in range(50)])
        doomed = [source.source_id for source in writer.live_sources()][:2]
        last = writer.commit([place("new", "A new text.")], removals=doomed)
        index = CountingIndex()
        follower = Follower(database, writer.collection.collection_id, DIMENSION, index)
        assert follower.catch_up() == last.position
        resets, rows = index.resets, index.applied_rows
        gate.hold(database, first.position.generation, fence=writer.fence)
        assert follower.catch_up() == first.position
        assert index.keys().size == 50
        gate.release(database, fence=writer.fence)
        assert follower.catch_up() == last.position
    assert index.resets == resets
    # Two came back and one went, each dropped first in case that it was there; and the reverse.
    assert index.applied_rows - rows <= 2 * (2 * 2 + 1 + 1)
    assert index.keys().size == 49


def test_looking_back_leaves_the_present_as_it_is(database: Database, tmp_path: Path) -> None:
    collection = history(database)
    about = (database, collection.collection_id, DIMENSION)
    follower = Follower(*about, Bm25Index(tmp_path / "keywords"))
    present = follower.catch_up()
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    positions = [CorpusReader(database).position_as_of(number) for number in (1, 2, 3)]
    for position in positions * 2:
        fork = follower.at(position)
        assert fork.applied == position
        assert fork.keys().size == position.generation
        fork.publish()
    assert follower.index.applied == present
    assert follower.at(positions[0]) is follower.at(positions[0])
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == files


def test_only_the_last_few_looks_back_are_kept(database: Database) -> None:
    with writing(database) as writer:
        positions = [writer.commit([place(f"s{n}", f"T {n}.")]).position for n in range(7)]
    index = ExactVectorIndex(dimension=DIMENSION)
    follower = Follower(database, writer.collection.collection_id, DIMENSION, index)
    follower.catch_up()
    forks = [follower.at(position) for position in positions]
    assert [fork.keys().size for fork in forks] == [1, 2, 3, 4, 5, 6, 7]
    assert follower.at(positions[-1]) is forks[-1]
    assert follower.at(positions[0]) is not forks[0]
    assert len(follower._forks.all()) == 4


def test_an_index_of_another_history_looks_back_into_this_one(
    database: Database, tmp_path: Path
) -> None:
    collection = history(database)
    index = ExactVectorIndex(dimension=DIMENSION)
    nothing = np.empty(0, np.int64)
    foreign = Entries(
        ids=np.array([77]),
        documents=np.array([7]),
        titles=[""],
        headings=[()],
        texts=[""],
        languages=[None],
        vectors=vector_of("x")[np.newaxis],
    )
    index.apply(removed=nothing, added=foreign, position=Position(2, "another"))
    follower = Follower(database, collection.collection_id, DIMENSION, index)
    second = CorpusReader(database).position_as_of(2)
    assert follower.at(second).keys().tolist() == [1, 2]
    assert follower.catch_up().generation == 3
    assert index.keys().tolist() == [1, 2, 3]


def test_fitted_settings_are_kept_with_their_collection(database: Database) -> None:
    collection, other = (open_collection(database, name) for name in ("a", "b"))
    assert retrieval_settings(database, collection) is None
    set_retrieval_settings(database, collection, {"vector_weight": 0.5, "by": ["x"]})
    assert retrieval_settings(database, collection) == {"vector_weight": 0.5, "by": ["x"]}
    assert retrieval_settings(database, other) is None
    set_retrieval_settings(database, collection, None)
    assert retrieval_settings(database, collection) is None


def test_many_threads_look_at_different_times_while_others_write(
    database: Database, tmp_path: Path
) -> None:
    with writing(database) as writer:
        positions = [
            writer.commit([place(f"s{n}", f"Common word {n}.")]).position for n in range(6)
        ]
        about = (database, writer.collection.collection_id, DIMENSION)
        follower = Follower(*about, Bm25Index(tmp_path / "keywords"))

        def look(number: int) -> int:
            if number % 5 == 4:
                writer.commit([place(f"late{number}", f"Common word, {number} late.")])
                follower.catch_up()
            fork = follower.at(positions[number % 6])
            return len(fork.search("common", limit=50)) - number % 6 - 1

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(look, range(30))) == {0}
    assert follower.catch_up().generation == 12
    assert len(follower.index.search("common", limit=50)) == 12
