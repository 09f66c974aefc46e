"""Where a training keeps what is no version yet: one folder a name, for one program at a time."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rag_pipeline.training.errors import TrainingError

_RESULT = "merged-"


@contextmanager
def alone(home: Path, name: str) -> Iterator[Path]:
    """The folder of this name's trainings, as long as nobody else has it.

    Raises `TrainingError` where somebody has.
    """
    folder = home / "tuning" / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for abandoned in folder.glob(f"{_RESULT}*"):
                shutil.rmtree(abandoned)
            yield folder
    except Timeout as error:
        raise TrainingError(
            f"another program is training {name!r}: wait for it, or give another --name"
        ) from error


@contextmanager
def result_folder(folder: Path) -> Iterator[Path]:
    """An empty folder in that of the trainings, which goes with all in it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=_RESULT) as result:
        yield Path(result)
