"""The program `rag` as its users run it: a process of its own, its streams and its status."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rag_pipeline

PACKAGES = Path(rag_pipeline.__file__).parent.parent
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a process ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; fails if there is anything else."""
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def events(self) -> list[Any]:
        """The objects on stderr, one a line."""
        return [json.loads(line) for line in self.err.splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`rag`, working in the folder `cwd` with a `home`, answering with `EchoModel`."""

    cwd: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, **variables: str) -> Finished:
        """Run with `--home`, to the end."""
        return self.bare("--home", self.home, *arguments, **variables)

    def bare(self, *arguments: str | Path, **variables: str) -> Finished:
        """Run with nothing but `arguments`, to the end."""
        return finished(self.started(*arguments, **variables))

    def started(
        self,
        *arguments: str | Path,
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
        **variables: str,
    ) -> subprocess.Popen[str]:
        """Start, and stop for nothing but what the test sends."""
        return subprocess.Popen(
            [sys.executable, "-m", "rag_pipeline", *map(str, arguments)],
            cwd=self.cwd,
            env={**_environment(), **self.variables, **variables},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Whoever runs the tests in the background makes them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def finished(process: subprocess.Popen[str]) -> Finished:
    """Wait for the end of it."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return Finished(status=process.returncode, out=out, err=err)


def assert_one_line_error(result: Finished, *said: str, status: int = 1) -> None:
    """It failed with one line on stderr that says all of `said`, and printed nothing."""
    assert result.status == status, result
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    assert "Traceback" not in result.err
    for words in said:
        assert words in result.err


def _environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    return {
        **inherited,
        "PYTHONPATH": str(PACKAGES),
        "PYTHONWARNINGS": "",
        "RAG_GENERATOR": "echo",
        "OMP_NUM_THREADS": "1",
    }
