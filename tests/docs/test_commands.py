"""Every command and every program in the documentation works as it stands there."""

import json
import os
import re
import runpy
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rag_pipeline.cli.main import cli
from rag_pipeline.settings import load_settings
from rag_pipeline.weights.errors import WeightsMissingError
from rag_pipeline.weights.store import WeightStore

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs/quickstart.md"
PROGRAMS = [
    README,
    ROOT / "docs/howto/python-api.md",
    ROOT / "docs/howto/langchain.md",
    ROOT / "docs/howto/training-data.md",
    ROOT / "docs/howto/generators.md",
    ROOT / "docs/howto/versions.md",
    ROOT / "docs/howto/replay.md",
    ROOT / "docs/howto/synthetic-tables.md",
    ROOT / "docs/howto/judge-synthetic-data.md",
    ROOT / "docs/howto/synthetic-images.md",
    ROOT / "docs/howto/synthetic-methods.md",
]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELLS = ("sh", "console", "crontab")
_UNTIL_STOPPED = ("serve", "watch", "mcp")
_CALL = re.compile(r"(?:^|[\s/])rag\s+(.+)")
_INLINE = re.compile(r"`rag ([^`]+)`")


@dataclass(frozen=True, slots=True)
class Documented:
    """A call of `rag` in the documentation, without the program's name."""

    page: Path
    words: str

    def __str__(self) -> str:
        return f"{self.page.name}: rag {self.words}"

    @property
    def arguments(self) -> list[str]:
        """As the shell would hand them over; what follows a pipe or a redirection is left out."""
        words = shlex.shlex(self.words, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, "#"
        arguments: list[str] = []
        for word in words:
            if set(word) <= set("|&;<>"):
                break
            arguments.append(word)
        return arguments


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text("utf-8")) if name in languages]


def calls(page: Path) -> list[Documented]:
    lines = [line for block in blocks(page, *_SHELLS) for line in block.splitlines()]
    return [Documented(page, match[1]) for line in lines if (match := _CALL.search(line))]


def mentions(page: Path) -> list[Documented]:
    """Calls within sentences, where arguments may be left out."""
    prose = _BLOCK.sub("", page.read_text("utf-8"))
    return [Documented(page, words) for words in _INLINE.findall(prose) if "…" not in words]


def parsed(arguments: list[str]) -> str:
    """What the real commands say to `arguments`; empty if these are what they take."""
    result = CliRunner().invoke(cli, arguments, prog_name="rag")
    return "" if result.exit_code == 0 else result.output


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


CALLS = [call for page in PAGES for call in calls(page)]


@pytest.mark.usefixtures("_idle")
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_command_line_is_one_that_the_program_takes(call: Documented) -> None:
    assert parsed(call.arguments) == ""


@pytest.mark.usefixtures("_idle")
@pytest.mark.parametrize("words", ["sreve", "ask --no-such", "ingest", "search x -k many"])
def test_a_wrong_command_line_would_be_noticed(words: str) -> None:
    assert parsed(Documented(README, words).arguments) != ""


@pytest.mark.parametrize("call", [m for page in PAGES for m in mentions(page)], ids=str)
def test_every_command_that_is_mentioned_exists_with_its_options(call: Documented) -> None:
    command: click.Command = cli
    options = {name for parameter in cli.params for name in parameter.opts}
    for word in call.arguments:
        if word.startswith("-"):
            assert word in options | {"--help"}
        elif isinstance(command, click.Group):
            command = command.commands[word]
            options |= {name for parameter in command.params for name in parameter.opts}


def test_the_readme_begins_with_the_two_commands_that_matter() -> None:
    first = blocks(README, "sh")[0].splitlines()
    assert [line.partition("#")[0].strip() for line in first] == ["make demo", "make test"]


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        inline = re.findall(r"`(make [\w-]+)`", page.read_text("utf-8"))
        for named in [*inline, *lines]:
            if named.startswith("make "):
                target = named.split()[1]
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {named}"


@pytest.fixture(scope="module")
def cache() -> Path:
    """Where the weights are; without those of the generator there is nothing to run."""
    folder = load_settings().cache_dir
    try:
        WeightStore(folder).resolve("smollm2")
    except WeightsMissingError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def workplace(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader would be: beside the examples, with a home of its own."""
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    return tmp_path


def printed_by(*arguments: str) -> str:
    """What a call prints on stdout, once it has done its work without an error."""
    result = CliRunner().invoke(cli, arguments, prog_name="rag", catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def outputs(page: Path) -> dict[str, str]:
    """What each call of a page prints, in its order, by its words; of the same twice the last.

    What runs until it is stopped has tests of its own, which start it as a process.
    """
    printed: dict[str, str] = {}
    for call in calls(page):
        arguments = call.arguments
        if arguments[0] in _UNTIL_STOPPED:
            continue
        if "PROMPT_ID" in arguments:
            newest = json.loads(printed_by("history", "list", "-n", "1", "--json"))[0]
            arguments[arguments.index("PROMPT_ID")] = newest["prompt_id"]
        printed[call.words] = printed_by(*arguments)
    return printed


@pytest.mark.models
@pytest.mark.usefixtures("workplace")
def test_the_60_seconds_of_the_readme_run_and_give_a_cited_answer() -> None:
    printed = outputs(README)
    assert len(printed) == 4
    answer = printed['ask "When was Boston Light first lit?"']
    assert "14 September 1716" in answer
    assert "% sure" in answer
    assert "boston-light.txt" in answer
    assert "When was Boston Light first lit?" in printed["history list"]


@pytest.mark.models
def test_the_quickstart_runs_and_what_it_says_of_the_outcome_is_so(workplace: Path) -> None:
    printed = outputs(QUICKSTART)
    assert "embedded 0," in printed["ingest examples/documents"]
    (answer, cited) = printed['ask "When was Boston Light first lit?"'].split("% sure")
    assert "[grounded]" in answer or "[partial]" in answer
    assert "1. " in cited
    assert "[no_evidence]" in printed['ask "What is the capital of Peru?"']
    hits = json.loads(printed['search "height of the lighthouse" -k 3 --mode keyword --json'])
    assert [hit["vector_rank"] for hit in hits["hits"]] == [None] * 3
    assert "healthy" in printed["doctor"]
    shutil.rmtree(workplace / "home/indexes")
    assert "healthy" in printed_by("doctor")


@pytest.mark.models
def test_what_the_page_on_search_shows_works(workplace: Path) -> None:
    page = ROOT / "docs/howto/search.md"
    assert (workplace / "examples").exists()
    printed_by("ingest", "examples/documents")
    printed = outputs(page)
    assert len(printed) > 7
    assert [words for words, text in printed.items() if not text.strip()] == []
    narrowed = [text for words, text in printed.items() if "like '%.md'" in words]
    assert "cape-hatteras.md" in narrowed[0]
    assert "boston-light.txt" not in narrowed[0]
    (explained,) = [text for words, text in printed.items() if "--explain" in words]
    assert "keyword" in explained
    (found,) = [text for words, text in printed.items() if '"Boston Light" +harbor' in words]
    assert "boston-light" in found
    (program,) = blocks(page, "python")
    (workplace / "program.py").write_text(program, "utf-8")
    runpy.run_path("program.py")


@pytest.mark.models
@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.name)
def test_every_python_program_runs(
    workplace: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = blocks(page, "python")
    assert programs
    for program in programs:
        (workplace / "program.py").write_text(program, "utf-8")
        runpy.run_path("program.py")
        assert capsys.readouterr().out.strip()
