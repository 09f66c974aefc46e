"""The text file for Prometheus is one that Prometheus's own parser reads."""

import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rag_pipeline.errors import SettingsError
from rag_pipeline.metrics_file import rendered, write_atomically
from storage.runs import OUTCOMES, RunTotals

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def totals(source: str | None = "docs", **changed: object) -> RunTotals:
    given = {
        "source_name": source,
        "collection": "default",
        "runs": 5,
        "completed": 3,
        "failures": 2,
        "documents": dict.fromkeys(OUTCOMES, 0) | {"new": 7},
        "last_success_at": AT,
        "last_seconds": 1.25,
    }
    return RunTotals(**{**given, **changed})  # type: ignore[arg-type]


def samples(*given: RunTotals) -> dict[tuple[str, str], float]:
    """Values by the name of the sample and its source (and outcome)."""
    text = rendered(given, generation=42, served=41, written_at=1.5)
    return {
        (sample.name, "/".join(v for k, v in sample.labels.items() if k != "collection")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_on_record_can_be_read_by_prometheus() -> None:
    found = samples(totals())
    assert found["rag_last_ingest_success_timestamp_seconds", "docs"] == AT.timestamp()
    assert found["rag_last_ingest_duration_seconds", "docs"] == 1.25
    assert found["rag_ingest_runs_total", "docs"] == 5
    assert found["rag_ingest_failures_total", "docs"] == 2
    assert found["rag_ingest_documents_total", "docs/new"] == 7
    assert found["rag_generation", ""] == 42


def test_counters_end_in_total_and_other_units_are_base_units() -> None:
    for family in text_string_to_metric_families(
        rendered([totals()], generation=1, served=1, written_at=1.0)
    ):
        assert family.type in ("counter", "gauge")
        assert family.documentation
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert not sample.name.endswith(("_ms", "_kb", "_minutes"))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\\n", 'x"} 1\nevil 7', "灯台"])
def test_any_name_survives_as_a_label(name: str) -> None:
    assert samples(totals(name))["rag_ingest_runs_total", name] == 5


def test_what_is_not_known_yet_is_left_out() -> None:
    found = samples(totals(None, last_success_at=None, last_seconds=None))
    assert ("rag_last_ingest_success_timestamp_seconds", "") not in found
    assert found["rag_ingest_runs_total", ""] == 5


def test_an_empty_record_is_a_file_too() -> None:
    assert samples()["rag_generation", ""] == 42


def test_a_reader_sees_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "rag.prom"
    texts = [letter * 200_000 for letter in "ab"]
    write_atomically(path, texts[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(30):
            write_atomically(path, texts[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_text("utf-8") in texts
    writer.join()
    assert [file.name for file in tmp_path.iterdir()] == ["rag.prom"]


def test_the_collector_may_read_it_whoever_wrote_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "rag.prom", "x 1\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "rag.prom").stat().st_mode) == 0o644


def test_a_folder_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="name another file"):
        write_atomically(tmp_path / "no" / "rag.prom", "")
