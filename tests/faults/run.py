"""Runs a kit of fault tools over `killable.py`: kills, broken system calls, lost power, full disks.

    python tests/faults/run.py --kit FOLDER [--scale 0.1] [kill crash power disk …]

FOLDER (default: $FAULTKIT) holds `killloop.py`, `crashpoints.py`, `powerloss.py` and `diskfull.py`.
Without it nothing is run, and this says so. Lost power and full disks need root.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

PROGRAM = Path(__file__).parent / "killable.py"
TESTS = PROGRAM.parent.parent
RUNS = {"kill": 500, "crash": 200, "power": 100}
FAULTS = ("kill", "ENOSPC", "EIO")
DISKS = ("full", "inodes", "readonly", "refill")
DISK_SIZES_KB = "1024,1536,2048,4096,8192"
"""An empty home takes 630 kB."""


def killable(*arguments: str) -> str:
    """A shell's command line; `$FK_STORE` is left for that shell."""
    return " ".join([shlex.join([sys.executable, str(PROGRAM)]), *arguments])


def kill(runs: int) -> Iterator[list[str]]:
    yield [
        "killloop.py", "--keep-going", "--runs", str(runs), "--min-ms", "600", "--max-ms", "2500",
        "--cmd", killable("work", "store", "documents", "--rounds", "40"),
        "--verify", killable("verify", "store"),
    ]  # fmt: skip


def crash(points: int) -> Iterator[list[str]]:
    fill = killable("work", "live/store", "live/documents")
    subprocess.run(f"FK_SEED=filled {fill} > promises", shell=True, check=True)
    Path("live").rename("filled")
    for fault in FAULTS:
        yield [
            "crashpoints.py", "--max", str(points), "--fault", fault,
            *(() if fault == "kill" else ("--sticky",)),
            "--reset", "rm -rf live && cp -r filled live",
            "--cmd", killable("work", "live/store", "live/documents"),
            "--verify", killable("verify", "live/store", "--before", "promises"),
        ]  # fmt: skip


def power(runs: int) -> Iterator[list[str]]:
    yield [
        "powerloss.py", "--keep-going", "--runs", str(runs), "--min-ms", "900", "--max-ms", "4000",
        "--cmd", killable("work", "$FK_STORE/store", "$FK_STORE/documents", "--rounds", "60"),
        "--verify", killable("verify", "$FK_STORE/store"),
    ]  # fmt: skip


def disk(_runs: int) -> Iterator[list[str]]:
    for mode in DISKS:
        yield [
            "diskfull.py", "--mode", mode, "--sizes-kb", DISK_SIZES_KB,
            "--cmd", killable("work", "$FK_STORE/store", "documents", "--rounds", "60"),
            "--verify", killable("verify", "$FK_STORE/store"),
        ]  # fmt: skip


KINDS: dict[str, Callable[[int], Iterator[list[str]]]] = {
    "kill": kill,
    "crash": crash,
    "power": power,
    "disk": disk,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--kit", type=Path, default=os.environ.get("FAULTKIT"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts")
    given = parser.parse_args()
    if given.kit is None or not (given.kit / "killloop.py").is_file():
        click.echo("skipped: no fault tools; name their folder with --kit or $FAULTKIT")
        return
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    os.environ["PYTHONPATH"] = path
    failed = [
        kind
        for kind in given.kinds or KINDS
        if not holds(given.kit.resolve(), KINDS[kind], max(1, int(RUNS.get(kind, 1) * given.scale)))
    ]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def holds(kit: Path, commands: Callable[[int], Iterator[list[str]]], runs: int) -> bool:
    """Whether every tool that `commands` names found nothing broken."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        os.chdir(folder)
        failed = [command for command in commands(runs) if not run(kit, *command)]
        return not failed


def run(kit: Path, tool: str, *options: str) -> bool:
    click.echo(f"→ {tool} {shlex.join(options)}")
    return subprocess.run([sys.executable, str(kit / tool), *options], check=False).returncode == 0


if __name__ == "__main__":
    main()
