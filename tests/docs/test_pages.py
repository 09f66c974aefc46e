"""What the pages point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_PATH = re.compile(
    r"(?<![\w./-])(?:docs|benchmarks|tests|storage|ingest|rag_pipeline|migrations|examples)"
    r"/[\w./-]*[\w/]"
)
_LONGEST_ARCHITECTURE = 128
_SHORTEST_TELLING = 11


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = _LINK.findall(_prose(page))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    # Relative links are looked up from their page, above.
    paths = _PATH.findall(_LINK.sub("", page.read_text("utf-8")))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_architecture_names_every_package_and_stays_on_two_pages() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(_PATH.findall(text))
    code = [
        folder.relative_to(ROOT)
        for package in ("storage", "ingest", "rag_pipeline")
        for folder in (ROOT / package).rglob("*")
        if folder.is_dir() and len(list(folder.glob("*.py"))) > 1
    ]
    assert len(named) > len(code) > 5
    assert [folder for folder in code if not any(p.startswith(str(folder)) for p in named)] == []
    assert len(text.splitlines()) <= _LONGEST_ARCHITECTURE


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached:
            continue
        reached.add(page)
        found = [(page.parent / target).resolve() for target in _LINK.findall(_prose(page))]
        pending += [path for path in found if path.suffix == ".md"]
        # A link to a folder shows what is in it.
        reached.update(file for path in found if path.is_dir() for file in path.glob("*.md"))
    assert [_name(page) for page in PAGES if page not in reached] == []


def test_decisions_are_numbered_without_gaps_and_say_context_decision_and_consequences() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        headings = re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page.name


def test_every_message_that_troubleshooting_explains_is_one_that_the_program_says() -> None:
    files = [file for name in ("storage", "ingest", "rag_pipeline") for file in _code(name)]
    # A message that is written over several lines is one string.
    source = re.sub(r'"\s+f?"', "", "\n".join(file.read_text("utf-8") for file in files))
    page = (ROOT / "docs/howto/troubleshooting.md").read_text("utf-8")
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")][1:]
    said = [part.strip(" ;()") for row in rows for part in row.split("…")]
    telling = [part for part in said if len(part) > _SHORTEST_TELLING]
    assert len(telling) >= len(rows) - 3
    assert [part for part in telling if part not in source] == []


def _code(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))
