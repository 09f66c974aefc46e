"""`sync.toml`: every mistake is named in one line, with its table and key."""

from datetime import timedelta
from pathlib import Path

import pytest

from ingest.feeds.declaration import (
    Declaration,
    SqlSource,
    WebSource,
    check_pruning,
    from_environment,
    read_declaration,
)
from ingest.feeds.errors import DeclarationError

FILES = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\n'


def declared(folder: Path, text: str) -> Declaration:
    path = folder / "sync.toml"
    path.write_text(text, "utf-8")
    return read_declaration(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(DeclarationError) as raised:
        declared(folder, text)
    said = str(raised.value)
    assert "\n" not in said
    assert "sync.toml" in said
    return said


def test_the_least_that_a_source_needs_is_name_kind_and_paths(tmp_path: Path) -> None:
    found = declared(tmp_path, FILES)
    assert found.folder == tmp_path.resolve()
    (source,) = found.sources
    assert (source.name, source.collection, source.prune, source.enabled) == (
        "docs",
        "default",
        False,
        True,
    )


def test_all_that_is_said_of_a_source_is_read(tmp_path: Path) -> None:
    text = FILES + (
        'collection = "c"\nmetadata = { team = "x", year = 7 }\nlabels = ["a"]\n'
        'generator = "gan-1"\nprune = true\nevery = "90m"\nenabled = false\n'
    )
    (source,) = declared(tmp_path, text).sources
    assert source.metadata == {"team": "x", "year": 7}
    assert source.every == timedelta(minutes=90)
    assert (source.labels, source.generator) == (("a",), "gan-1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILES + "prnue = true\n", ["'docs'", "unknown key 'prnue'", "did you mean 'prune'"]),
        (FILES + "zzz = 1\n", ["[[source]] 1", "unknown key 'zzz'"]),
        (FILES.replace("source", "sources"), ["unknown key 'sources'", "did you mean 'source'"]),
        (FILES + FILES, ["[[source]] 2", "'docs'", "[[source]] 1"]),
        (FILES.replace('"files"', '"file"'), ["unknown kind 'file'", "did you mean 'files'"]),
        (FILES.replace('kind = "files"\n', ""), ["'kind' is missing", "jsonl"]),
        (FILES.replace('name = "docs"\n', ""), ["[[source]] 1", "'name' is missing"]),
        (FILES.replace('["docs"]', "[]"), ["'paths'"]),
        (FILES.replace('["docs"]', '"docs"'), ["'paths'"]),
        (FILES.replace('"docs"\n', '"../x"\n', 1), ["'name'"]),
        (FILES + 'every = "soon"\n', ["'every'", "no duration"]),
        (FILES + "every = 60\n", ["'every'", '"30m"']),
        (FILES + 'every = "0h"\n', ["'every'", "no duration"]),
        (FILES + 'prune = "yes please"\n', ["'prune'"]),
        (FILES + "metadata = { a = [1] }\n", ["'metadata"]),
        ("", ["declares no source"]),
        ("source = 7\n", ["declares no source"]),
        ("[[source\n", ["not valid TOML"]),
        ('[[source]]\nname = "w"\nkind = "web"\n', ["give urls, a sitemap, or both"]),
        (
            '[[source]]\nname = "w"\nkind = "web"\nurls = ["ftp://x/"]\n',
            ["no http or https URL"],
        ),
        (
            '[[source]]\nname = "w"\nkind = "web"\nurls = ["https://x/"]\nallow = ["a b"]\n',
            ["'allow"],
        ),
        (
            '[[source]]\nname = "f"\nkind = "fsspec"\nurl = "https://x/"\n',
            ['kind = "web"'],
        ),
        ('[[source]]\nname = "f"\nkind = "fsspec"\n', ["one of url and url_env"]),
        (
            '[[source]]\nname = "f"\nkind = "fsspec"\nurl = "s3://x"\nurl_env = "X"\n',
            ["one of url and url_env"],
        ),
        (
            '[[source]]\nname = "q"\nkind = "sql"\nurl_env = "X"\nquery = "SELECT 1"\n'
            'id_column = "id"\n',
            ["text_column"],
        ),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path: Path, text: str, said: list[str]) -> None:
    message = refused(tmp_path, text)
    for words in said:
        assert words in message


def test_a_wrong_value_is_not_repeated_where_it_may_be_a_password(tmp_path: Path) -> None:
    text = (
        '[[source]]\nname = "q"\nkind = "sql"\nurl = ["postgresql://ann:hunter2@h/x"]\n'
        'query = "SELECT 1"\nid_column = "id"\ntext_column = "t"\n'
    )
    assert "hunter2" not in refused(tmp_path, text)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="--config"):
        read_declaration(tmp_path / "sync.toml")


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    with pytest.raises(DeclarationError, match="NO_SUCH_URL"):
        from_environment("NO_SUCH_URL")


def test_sources_are_chosen_by_name_and_disabled_ones_only_so(tmp_path: Path) -> None:
    second = FILES.replace('"docs"', '"old"', 1) + "enabled = false\n"
    found = declared(tmp_path, FILES + second)
    assert [source.name for source in found.chosen([])] == ["docs"]
    assert [source.name for source in found.chosen(["old"])] == ["old"]
    with pytest.raises(DeclarationError, match="did you mean 'docs'"):
        found.chosen(["dosc"])


def web(name: str, allow: str, collection: str = "default") -> WebSource:
    return WebSource(
        kind="web", name=name, urls=("https://x.org/a",), allow=(allow,), collection=collection
    )


def test_two_web_sources_may_not_prune_each_others_pages() -> None:
    one, other = web("one", "x.org"), web("other", "https://x.org/docs")
    check_pruning([one, other], [])
    with pytest.raises(DeclarationError, match="'one' and 'other'"):
        check_pruning([one, other], ["other"])
    check_pruning([one, web("other", "x.org", "else")], ["one"])
    check_pruning([web("one", "https://x.org/a"), web("other", "https://x.org/b")], ["one"])


def test_without_an_allow_list_the_hosts_of_the_urls_are_allowed() -> None:
    source = WebSource(kind="web", name="w", urls=("https://x.org/a", "http://y.org:8080/"))
    assert [(rule.host, rule.scheme) for rule in source.rules] == [
        ("x.org", "https"),
        ("y.org", "http"),
    ]


def test_one_text_column_or_several(tmp_path: Path) -> None:
    given = {"kind": "sql", "name": "q", "url": "sqlite:///x", "query": "q", "id_column": "id"}
    assert SqlSource(**given, text_column="a").texts == ("a",)
    assert SqlSource(**given, text_columns=("a", "b")).texts == ("a", "b")
