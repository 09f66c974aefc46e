"""A hub is asked when a hub model is named, and only until it is here whole."""

import subprocess
import sys
from pathlib import Path

_COMMIT = "a" * 40
_NOBODY = "http://127.0.0.1:9"


def _resolve(cache: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's address is read when its library is imported."""
    program = (
        "import os; from pathlib import Path\n"
        f"os.environ.update(HF_ENDPOINT={_NOBODY!r}, HF_HUB_DISABLE_TELEMETRY='1')\n"
        "os.environ.pop('HF_HUB_OFFLINE', None)\n"
        "from rag_pipeline.weights.errors import WeightsMissingError\n"
        "from rag_pipeline.weights.store import WeightStore\n"
        "try:\n"
        f"    print(WeightStore(Path({str(cache)!r})).resolve('org/model').folder)\n"
        "except WeightsMissingError as error:\n"
        "    print(repr(error))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )


def _snapshot(cache: Path) -> Path:
    """A snapshot as the hub's library lays it out."""
    repository = cache / "hub" / "models--org--model"
    snapshot = repository / "snapshots" / _COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(_COMMIT)
    (snapshot / "model.safetensors").write_bytes(b"numbers")
    return snapshot


def test_a_hub_that_cannot_be_reached_is_said_with_what_to_do(tmp_path: Path) -> None:
    answer = _resolve(tmp_path)
    assert "WeightsMissingError" in answer.stdout
    assert "'org/model' are not on this machine" in answer.stdout
    assert answer.stderr == ""


def test_a_model_that_is_here_whole_is_not_asked_for_again(tmp_path: Path) -> None:
    snapshot = _snapshot(tmp_path)
    (tmp_path / "hub" / "org--model.revision").write_text(_COMMIT)
    assert _resolve(tmp_path).stdout.strip() == str(snapshot)


def test_a_download_that_was_cut_off_is_not_taken_for_the_model(tmp_path: Path) -> None:
    _snapshot(tmp_path)
    assert "WeightsMissingError" in _resolve(tmp_path).stdout
