"""Questions in and rankings out, in the formats of evaluation programs."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.passages import hit, passage

from rag_pipeline.errors import QueryError
from rag_pipeline.evaluation.trec import read_lines, run_lines
from storage.records import Hit


def found(external_ids: Sequence[str], score: float, key: int = 1) -> Hit:
    """A hit whose text stands in several places."""
    chunk = passage("Text.", key=key)
    refs = tuple(replace(chunk.sources[0], external_id=one) for one in external_ids)
    return replace(hit(replace(chunk, sources=refs)), score=score)


def columns(hits: Sequence[Hit], *, query: str = "q1", limit: int = 100) -> list[list[str]]:
    lines = list(run_lines(query, hits, limit=limit, tag="tag"))
    assert all(line.endswith("\n") for line in lines)
    return [line[:-1].split(" ") for line in lines]


def test_a_line_has_the_six_columns() -> None:
    assert columns([found(["d7"], 0.5)]) == [["q1", "Q0", "d7", "1", "0.500000000", "tag"]]


def test_each_id_comes_once_with_its_best_chunk_and_all_ids_of_a_text_are_named() -> None:
    hits = [found(["a", "b"], 0.9), found(["a"], 0.8), found(["c"], 0.7)]
    assert [line[2] for line in columns(hits)] == ["a", "b", "c"]


def test_the_limit_counts_ids() -> None:
    assert [line[2] for line in columns([found(["a", "b", "c"], 0.9)], limit=2)] == ["a", "b"]


@pytest.mark.parametrize("name", ["two words", " a\tb\n", "", "\u00a0", "x\u2028y"])
def test_ids_with_spaces_or_nothing_in_them_keep_the_columns(name: str) -> None:
    (line,) = columns([found([name], 0.5)], query=name)
    assert len(line) == 6
    assert all(line)
    assert len(" ".join(line).split()) == 6


scores = st.lists(st.sampled_from([0.0, 1e-6, 0.25, 0.250001, 0.5, 1.0, 37.123456]), max_size=30)


@given(scores)
def test_printed_scores_fall_strictly_even_where_hits_are_equally_good(given_scores) -> None:
    falling = sorted(given_scores, reverse=True)
    hits = [found([f"d{n}"], score, n + 1) for n, score in enumerate(falling)]
    lines = columns(hits)
    printed = [float(line[4]) for line in lines]
    assert all(one > other for one, other in itertools.pairwise(printed))
    # Some programs keep no more digits of a score than these.
    assert all(np.float32(one) > np.float32(other) for one, other in itertools.pairwise(printed))
    assert [line[2] for line in lines] == [f"d{n}" for n in range(len(falling))]
    assert [line[3] for line in lines] == [str(n + 1) for n in range(len(falling))]


def test_questions_are_read_with_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"_id": "1", "text": "One\xe2\x80\xa8still one?"}\r\n\n'
        b'{"_id": 2, "question": "Two?", "text": "other"}'
    )
    assert read_lines(path, ("question", "text")) == [("1", "One\u2028still one?"), ("2", "Two?")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no object with an _id"),
        ('{"text": "x"}', "no object with an _id"),
        ('{"_id": 1}', "no text under question or text"),
        ('{"_id": 1, "question": 5, "text": "x"}', "no text under question or text"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(f'{{"_id": 1, "text": "good"}}\n\n{line}\n')
    with pytest.raises(QueryError, match=rf"queries\.jsonl:3 .*{said}"):
        read_lines(path, ("question", "text"))


def test_a_file_that_cant_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b'{"_id": 1, "text": "caf\xe9"}')
    for name in ("missing.jsonl", "latin.jsonl", "."):
        with pytest.raises(QueryError, match="can't be read"):
            read_lines(tmp_path / name, ("text",))
