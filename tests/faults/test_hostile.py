"""A set of about a hundred hostile, odd and plain documents, each through `rag parse`.

The set is made and judged by tools that are not part of this repository: FAULTKIT names their
folder.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import PACKAGES

FAULTKIT = Path(os.environ.get("FAULTKIT", "no folder is named"))
RAG = [sys.executable, "-m", "rag_pipeline", "parse"]


@pytest.mark.slow
def test_every_hostile_document_is_read_or_refused_as_it_should_be(tmp_path: Path) -> None:
    if not (FAULTKIT / "check_hostile.py").exists():
        pytest.skip("needs the tools that make and judge hostile documents: set FAULTKIT")
    subprocess.run([sys.executable, FAULTKIT / "gen_hostile.py", tmp_path], check=True)
    judged = subprocess.run(
        [
            *(sys.executable, FAULTKIT / "check_hostile.py", tmp_path),
            *("--cmd", f"{shlex.join(RAG)} {{path}}"),
        ],
        env={**os.environ, "PYTHONPATH": str(PACKAGES), "PYTHONWARNINGS": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    failures = [line for line in judged.stdout.splitlines() if line.startswith("FAIL")]
    assert (judged.returncode, failures) == (0, []), judged.stdout
