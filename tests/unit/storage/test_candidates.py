"""Remembered candidates: what was asked for last stays, within limits."""

import numpy as np
import pytest

from storage import candidates
from storage.candidates import Candidates
from storage.records import Ids


def ids(size: int) -> Ids:
    return np.arange(size, dtype=np.int64)


def test_what_was_asked_for_last_is_kept() -> None:
    kept = Candidates()
    for number in range(candidates.MAX_ENTRIES):
        kept.keep(number, ids(number))
    assert kept.get(0) is not None
    kept.keep("new", ids(1))
    assert kept.get(0) is not None
    assert kept.get(1) is None
    assert kept.get("new") is not None


def test_memory_is_bounded_by_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAX_BYTES", 8 * 100)
    kept = Candidates()
    kept.keep("a", ids(60))
    kept.keep("b", ids(60))
    assert kept.get("a") is None
    assert kept.get("b") is not None
    kept.keep("b", ids(100))
    assert kept.get("b") is not None
    kept.keep("huge", ids(101))
    assert kept.get("huge") is None
    kept.keep("a", ids(100))
    assert kept.get("a") is not None


def test_nobody_changes_what_is_remembered() -> None:
    kept = Candidates()
    found = ids(3)
    kept.keep("a", found)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 7
