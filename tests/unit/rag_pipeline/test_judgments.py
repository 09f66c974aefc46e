"""Judged queries come from a BEIR folder, and every mistake in it is named."""

from pathlib import Path

import pytest

from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.judgments import Judgments, read_judgments

QUERIES = '{"_id": "q1", "text": "One?"}\n{"_id": 2, "text": "Two?"}\n{"_id": "q3", "text": "x"}\n'


def folder(at: Path, qrels: str, *, queries: str = QUERIES, name: str = "qrels.tsv") -> Path:
    (at / "queries.jsonl").write_text(queries, "utf-8")
    (at / name).parent.mkdir(exist_ok=True)
    (at / name).write_bytes(qrels.encode())
    return at


def judged(at: Path, qrels: str, **options: str) -> Judgments:
    return read_judgments(folder(at, qrels, **options))


def refused(at: Path, qrels: str, **options: str) -> str:
    with pytest.raises(EvaluationError) as raised:
        judged(at, qrels, **options)
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ["qrels.tsv", "qrels/test.tsv"])
@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq1\ta b\t2\n2\tc\t-1\n",
        "q1\ta b\t2\n\n2\tc\t-1",
        "\ufeffquery-id\tcorpus-id\tscore\r\nq1\ta b\t2\r\n2\tc\t-1\r\n",
        "q1\t0\ta b\t2\n2 Q0 c -1\n",
        "q1\ta b\t2\nq1\ta b\t2\n2 c -1\n",
    ],
)
def test_grades_are_read_with_or_without_a_header_or_trec_columns(
    tmp_path: Path, name: str, text: str
) -> None:
    found = judged(tmp_path, text, name=name)
    assert found.qrels == {"q1": {"a b": 2}, "2": {"c": -1}}
    assert found.texts == {"q1": "One?", "2": "Two?"}
    assert found.relevant == {"a b"}


def test_queries_that_nobody_judged_are_left_out_and_the_order_is_that_of_their_file(
    tmp_path: Path,
) -> None:
    assert list(judged(tmp_path, "q3\ta\t1\nq1\ta\t1\n").texts) == ["q1", "q3"]


def test_two_folders_that_judge_alike_have_the_same_hash(tmp_path: Path) -> None:
    hashes = []
    for number, text in enumerate(
        ["q1\ta\t1\n2\tb\t0\n", "2\tb\t0\nq1\ta\t1\n", "q1\ta\t2\n2\tb\t0\n", "q1\ta\t1\n"]
    ):
        at = tmp_path / str(number)
        at.mkdir()
        hashes.append(judged(at, text).sha256)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1\ta\t1\nq1\tb\n", "qrels.tsv:2"),
        ("q1\ta\t1\nq1\tb\t0.5\n", "qrels.tsv:2"),
        ("q1\ta\t1\nq1\tb\t²\n", "qrels.tsv:2"),
        ("query-id\tcorpus-id\tscore\nquery-id\tcorpus-id\tscore\n", "qrels.tsv:2"),
        ("q1\ta\t1\nq1\ta\t2\n", "otherwise than a line before"),
        ("query-id\tcorpus-id\tscore\n", "judges nothing"),
        ("", "judges nothing"),
        ("nobody\ta\t1\n", "no query 'nobody'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_a_folder_without_judgments_or_queries_says_what_it_needs(tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(EvaluationError, match=r"qrels\.tsv or qrels/test\.tsv"):
            read_judgments(missing)
    (tmp_path / "qrels.tsv").write_text("q1\ta\t1\n")
    with pytest.raises(EvaluationError, match=r"queries\.jsonl can't be read"):
        read_judgments(tmp_path)
    assert "queries.jsonl:1" in refused(tmp_path, "q1\ta\t1\n", queries="{")
    (tmp_path / "qrels.tsv").write_bytes(b"q1\tcaf\xe9\t1\n")
    with pytest.raises(EvaluationError, match="can't be read"):
        read_judgments(tmp_path)
