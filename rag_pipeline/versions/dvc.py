"""Data sets under DVC: put under its control and pushed to its remote, by the program itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rag_pipeline.versions.errors import RegistryError

_SILENT = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
_TIMEOUT_S = 3600


def add(folder: Path) -> Path:
    """Put what is in `folder` under DVC's control; the `.dvc` file that names it by its hash.

    Raises `RegistryError` where DVC is not installed, or the folder is in no DVC repository.
    """
    _run(["add", "--quiet", "--", folder.name], folder.resolve().parent)
    return folder.with_name(f"{folder.name}.dvc")


def push(tracked: Path, remote: str | None = None) -> None:
    """Copy what a `.dvc` file names to the remote, or to the one that DVC is set up with."""
    chosen = [] if remote is None else ["--remote", remote]
    _run(["push", "--quiet", *chosen, "--", tracked.name], tracked.resolve().parent)


def _run(arguments: Sequence[str], folder: Path) -> None:
    program = shutil.which("dvc") or shutil.which("dvc", path=str(Path(sys.executable).parent))
    if program is None:
        raise RegistryError("DVC is not installed: run pip install 'rag-pipeline-service[dvc]'")
    try:
        # A list of arguments, of which only names of files and remotes are the caller's.
        ran = subprocess.run(  # noqa: S603
            [program, *arguments],
            cwd=folder,
            env={**os.environ, **_SILENT},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"DVC could not be run: {error}") from error
    if ran.returncode:
        said = " ".join((ran.stderr or ran.stdout).split())
        raise RegistryError(
            f"`dvc {arguments[0]}` failed in {folder}: {said[:300]}; `dvc init` makes a repository"
        )
