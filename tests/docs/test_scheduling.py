"""The examples for schedulers are what cron, systemd and Kubernetes take."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from ingest.feeds.declaration import read_declaration
from rag_pipeline.cli.main import cli

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/scheduling"
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_STEP = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check_schedule(fields: list[str]) -> None:
    """Fail unless the five fields of crontab(5) are in their ranges."""
    assert len(fields) == 5, fields
    for field, (low, high) in zip(fields, _RANGES, strict=True):
        for part in field.split(","):
            found = _STEP.fullmatch(part)
            assert found, part
            bounds = [] if found[1] == "*" else [int(n) for n in found[1].split("-")]
            assert bounds == sorted(bounds)
            assert all(low <= n <= high for n in bounds), part
            assert found[2] is None or 1 <= int(found[2]) <= high


def crontab_entries() -> list[list[str]]:
    lines = (EXAMPLES / "crontab").read_text("utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    return [line.split(None, 5) for line in entries if not re.match(r"\w+=", line)]


@pytest.fixture
def _idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that parse their arguments and do nothing."""
    pending: list[click.Command] = [cli]
    while pending:
        command = pending.pop()
        if isinstance(command, click.Group):
            pending += command.commands.values()
        else:
            monkeypatch.setattr(command, "callback", lambda **_: None)


def assert_taken(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="rag")
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("_idle")
def test_each_line_of_the_crontab_has_a_schedule_and_commands_that_the_program_takes() -> None:
    entries = crontab_entries()
    assert len(entries) == 2
    for *schedule, command in entries:
        check_schedule(schedule)
        assert "%" not in command  # cron would make a new line of it
        for call in command.split("&&"):
            program, *arguments = shlex.split(call.partition(">")[0])
            assert program == "rag"
            assert_taken(arguments)


@pytest.mark.parametrize(
    "schedule", ["60 * * * *", "* 24 * * *", "* * * *", "*/0 * * * *", "x * * * *"]
)
def test_a_wrong_schedule_would_be_noticed(schedule: str) -> None:
    with pytest.raises(AssertionError):
        check_schedule(schedule.split())


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string((EXAMPLES / name).read_text("utf-8"))
    return parser


@pytest.mark.usefixtures("_idle")
def test_the_service_calls_what_the_program_takes_and_the_timer_names_it() -> None:
    service, timer = unit("rag-sync.service"), unit("rag-sync.timer")
    program, *arguments = shlex.split(service["Service"]["ExecStart"])
    assert Path(program).name == "rag"
    assert Path(program).is_absolute()
    assert_taken(arguments)
    assert service["Service"]["Type"] == "oneshot"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert "Unit" not in timer["Timer"]  # the service of the same name
    home = arguments[arguments.index("--home") + 1]
    metrics = arguments[arguments.index("--metrics-file") + 1]
    writable = service["Service"]["ReadWritePaths"].split()
    assert {home, str(Path(metrics).parent)} <= {*writable}


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine")
    for name in ("rag-sync.service", "rag-sync.timer"):
        text = (EXAMPLES / name).read_text("utf-8")
        # Its program and user are those of the machine that it is meant for.
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
        (tmp_path / name).write_text(re.sub(r"(?m)^User=.*", "User=root", text), "utf-8")
    checked = subprocess.run(
        [program, "verify", "--recursive-errors=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
    )
    ours = [line for line in checked.stderr.splitlines() if "rag-sync" in line]
    assert ours == []
    when = unit("rag-sync.timer")["Timer"]["OnCalendar"]
    calendar = subprocess.run([program, "calendar", when], capture_output=True, text=True)
    assert calendar.returncode == 0, calendar.stderr


@pytest.mark.usefixtures("_idle")
def test_the_cron_job_of_kubernetes_has_the_fields_that_matter() -> None:
    job: Any = yaml.safe_load((EXAMPLES / "cronjob.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    spec = job["spec"]
    check_schedule(spec["schedule"].split())
    assert spec["concurrencyPolicy"] == "Forbid"
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    (container,) = pod["containers"]
    assert_taken(container["args"])
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert all("value" in one or "valueFrom" in one for one in container["env"])
    secret = next(one for one in container["env"] if one["name"] == "RAG_DATABASE_URL")
    assert "secretKeyRef" in secret["valueFrom"]


def test_the_example_declares_every_kind_of_source() -> None:
    sources = read_declaration(ROOT / "examples/sync.toml").sources
    assert {source.kind for source in sources} == {"files", "jsonl", "fsspec", "web", "sql"}


def test_what_the_page_declares_can_be_declared(tmp_path: Path) -> None:
    blocks = _TOML.findall((ROOT / "docs/howto/ingest-from-cron.md").read_text("utf-8"))
    assert blocks
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.toml"
        path.write_text(block, "utf-8")
        assert read_declaration(path).sources
