"""A gate that could not judge is refused when it is read, in one line that names it."""

from pathlib import Path

import pytest
from support.judged import QUERIES, write_judgments

from ingest.errors import IngestError
from ingest.feeds.declaration import read_declaration
from rag_pipeline.errors import RagError
from rag_pipeline.evaluation.gate import Gate, opened_gates

SOURCE = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\n'
GATE = '[gate.default]\nevaluation = "judged"\nfail_if = ["mrr < baseline - 0.01"]\n'


def gates(folder: Path, *tables: str) -> list[Gate]:
    (folder / "sync.toml").write_text("\n".join(tables), "utf-8")
    return opened_gates(read_declaration(folder / "sync.toml"), folder / "home")


def test_a_gate_names_its_queries_its_conditions_and_how_many_documents_count(
    tmp_path: Path,
) -> None:
    write_judgments(tmp_path / "judged")
    (gate,) = gates(tmp_path, SOURCE, GATE + "k = 20\n")
    assert (gate.collection, gate.searching.depth) == ("default", 20)
    assert gate.judgments.texts == QUERIES
    assert [one.text for one in gate.wanted.criteria] == ["mrr < baseline - 0.01"]
    assert gate.baseline == tmp_path / "home/baselines/default.json"
    assert gates(tmp_path, SOURCE) == []


@pytest.mark.parametrize("name", ["a/b", "..", "灯台" * 100, "a b", "%2F"])
def test_the_baseline_of_any_collection_is_a_file_of_its_own_in_the_home(
    tmp_path: Path, name: str
) -> None:
    write_judgments(tmp_path / "judged")
    source = SOURCE + f'collection = "{name}"\n'
    (gate,) = gates(tmp_path, source, GATE.replace("default", f'"{name}"'))
    assert gate.baseline.parent == tmp_path / "home/baselines"
    assert len(gate.baseline.name.encode()) <= 255


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (GATE.replace("judged", "nowhere"), "collection 'default': .* holds no judgments"),
        (GATE.replace("mrr < baseline", "mrr < basline"), "is no condition"),
        (GATE.replace("mrr", "recall"), "is no metric"),
        (GATE.replace("default", "defualt"), "did you mean 'default'"),
        (GATE.replace("fail_if", "failif"), "did you mean 'fail_if'"),
        (GATE.replace('["mrr < baseline - 0.01"]', "[]"), "fail_if"),
        ('[gate.default]\nevaluation = "judged"\n', "'fail_if' is missing"),
        ('[gate]\nevaluation = "judged"\n', r"\[gate\.default\]"),
        ("[[gate]]\n", r"\[gate\.default\]"),
        (GATE + "k = 0\n", "'k'"),
        (GATE.replace("gate", "gates"), "did you mean 'gate'"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, gate: str, said: str) -> None:
    write_judgments(tmp_path / "judged")
    with pytest.raises((IngestError, RagError), match=said) as raised:
        gates(tmp_path, SOURCE, gate)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["x" * 20_000, " "])
def test_a_query_that_can_not_be_asked_is_named(tmp_path: Path, text: str) -> None:
    write_judgments(tmp_path / "judged", QUERIES | {"odd": text})
    with pytest.raises(RagError, match="the gate of collection 'default': .*'odd'"):
        gates(tmp_path, SOURCE, GATE)
