import json
import os
import socket
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from ingest.errors import PathError
from ingest.feeds.reading import Limits
from ingest.load import FoundFile, load, walk
from ingest.records import RawDocument, Refusal


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def ids(items):
    return [item.external_id for item in items if not isinstance(item, Refusal)]


def refusals(items):
    return [(Path(r.source).name, r.outcome, r.reason) for r in items if isinstance(r, Refusal)]


def only_refusal(items) -> Refusal:
    (item,) = items
    assert isinstance(item, Refusal)
    return item


class TestNamedPaths:
    def test_a_missing_path_fails_before_anything_is_read(self, tmp_path):
        there = write(tmp_path / "a.txt", "text")
        with pytest.raises(PathError, match=r"nowhere\.txt"):
            load([there, tmp_path / "nowhere.txt"])

    def test_a_link_that_leads_nowhere_is_a_missing_path(self, tmp_path):
        (tmp_path / "loop.txt").symlink_to("loop.txt")
        with pytest.raises(PathError, match=r"loop\.txt"):
            load([tmp_path / "loop.txt"])

    def test_a_file_is_called_by_its_name_and_by_its_absolute_path(self, tmp_path):
        named = write(tmp_path / "sub" / "a.txt", "text")
        (document,) = load([named])
        assert document == RawDocument(
            uri=named.as_posix(),
            external_id="a.txt",
            data=b"text",
            format="text",
            media_type="text/plain",
        )

    def test_links_in_the_way_to_a_folder_are_resolved(self, tmp_path):
        write(tmp_path / "real" / "a.txt", "text")
        (tmp_path / "alias").symlink_to("real")
        (document,) = load([tmp_path / "alias"])
        assert document.uri == (tmp_path / "real" / "a.txt").as_posix()

    def test_relative_paths_give_absolute_ones(self, tmp_path, monkeypatch):
        write(tmp_path / "docs" / "a.txt", "text")
        monkeypatch.chdir(tmp_path / "docs")
        assert {d.uri for d in load([Path(), Path("../docs"), Path("a.txt")])} == {
            f"{tmp_path}/docs/a.txt"
        }

    def test_a_hidden_file_is_read_when_it_is_named(self, tmp_path):
        assert ids(load([write(tmp_path / ".notes.txt", "text")])) == [".notes.txt"]

    def test_no_paths_give_no_documents(self):
        assert list(load([])) == []


class TestFolders:
    def test_files_come_in_order_with_paths_relative_to_the_folder(self, tmp_path):
        for name in ("b.txt", "a.txt", "z/c.txt", "m/n/d.txt", "m/e.txt"):
            write(tmp_path / name, name)
        assert ids(load([tmp_path])) == ["a.txt", "b.txt", "m/e.txt", "m/n/d.txt", "z/c.txt"]

    def test_hidden_files_and_folders_are_left_out_in_silence(self, tmp_path):
        write(tmp_path / ".hidden.txt", "secret")
        write(tmp_path / ".git" / "a.txt", "secret")
        assert list(load([tmp_path])) == []

    def test_a_file_comes_once_however_many_paths_lead_to_it(self, tmp_path):
        inner = write(tmp_path / "sub" / "a.txt", "text")
        write(tmp_path / "b.txt", "text")
        (tmp_path / "sub" / "alias.txt").symlink_to("a.txt")
        assert ids(load([tmp_path, inner, inner.parent, tmp_path])) == ["b.txt", "sub/a.txt"]
        assert ids(load([inner.parent, tmp_path])) == ["a.txt", "b.txt"]

    def test_a_hidden_folder_that_is_named_after_its_parent_still_comes(self, tmp_path):
        write(tmp_path / ".notes" / "a.txt", "text")
        assert ids(load([tmp_path, tmp_path / ".notes"])) == ["a.txt"]

    def test_links_out_of_the_folder_are_not_followed(self, tmp_path):
        secret = write(tmp_path / "secret.txt", "CANARY")
        write(tmp_path / "docs" / "a.txt", "text")
        (tmp_path / "docs" / "file.txt").symlink_to(secret)
        (tmp_path / "docs" / "up").symlink_to(tmp_path)
        (tmp_path / "docs" / "zero.txt").symlink_to("/dev/zero")
        loaded = list(load([tmp_path / "docs"]))
        assert ids(loaded) == ["a.txt"]
        assert [(name, outcome) for name, outcome, _ in refusals(loaded)] == [
            ("file.txt", "skipped"),
            ("up", "skipped"),
            ("zero.txt", "skipped"),
        ]
        assert "CANARY" not in repr(loaded)

    def test_a_named_link_is_held_to_its_own_folder_as_if_the_folder_were_named(self, tmp_path):
        secret = write(tmp_path / "secret.txt", "CANARY")
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "file.txt").symlink_to(secret)
        assert "name its target" in only_refusal(load([tmp_path / "docs" / "file.txt"])).reason

    def test_a_link_to_a_hidden_place_inside_is_followed_as_in_mounted_configuration(
        self, tmp_path
    ):
        write(tmp_path / "..2024_01" / "a.txt", "text")
        (tmp_path / "..data").symlink_to("..2024_01")
        (tmp_path / "a.txt").symlink_to("..data/a.txt")
        (document,) = load([tmp_path])
        assert (document.external_id, document.data) == ("a.txt", b"text")
        assert document.uri == (tmp_path / "a.txt").as_posix()

    def test_links_to_folders_and_to_nothing_are_skipped_with_their_reasons(self, tmp_path):
        write(tmp_path / "sub" / "a.txt", "text")
        (tmp_path / "again").symlink_to("sub")
        (tmp_path / "broken.txt").symlink_to("gone.txt")
        (tmp_path / "loop.txt").symlink_to("loop.txt")
        loaded = list(load([tmp_path]))
        assert ids(loaded) == ["sub/a.txt"]
        reasons = {name: reason for name, _, reason in refusals(loaded)}
        assert "link to a folder" in reasons["again"]
        assert "nowhere" in reasons["broken.txt"]
        assert "loop.txt" in reasons

    def test_pipes_and_sockets_are_skipped_and_never_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.txt")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s.txt"))
            assert refusals(load([tmp_path])) == [
                ("pipe.txt", "skipped", "it is a named pipe, not a file"),
                ("s.txt", "skipped", "it is a socket, not a file"),
            ]
        assert only_refusal(load([tmp_path / "pipe.txt"])).outcome == "skipped"

    def test_a_file_that_becomes_a_pipe_after_it_was_found_is_not_waited_for(self, tmp_path):
        for name in ("a.txt", "b.txt"):
            write(tmp_path / name, "text")
        loading = load([tmp_path])
        next(loading)
        (tmp_path / "b.txt").unlink()
        os.mkfifo(tmp_path / "b.txt")
        assert only_refusal(loading).outcome == "skipped"

    def test_a_file_or_folder_that_vanishes_is_refused_and_the_walk_goes_on(self, tmp_path):
        for name in ("a.txt", "b.txt", "c.txt", "x/d.txt", "y/e.txt"):
            write(tmp_path / name, "text")
        loading = load([tmp_path])
        next(loading)
        (tmp_path / "b.txt").unlink()
        (tmp_path / "x" / "d.txt").unlink()
        (tmp_path / "x").rmdir()
        rest = list(loading)
        assert ids(rest) == ["c.txt", "y/e.txt"]
        assert [(name, outcome) for name, outcome, _ in refusals(rest)] == [
            ("b.txt", "refused"),
            ("x", "refused"),
        ]
        assert "no such file" in rest[0].reason

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_what_may_not_be_read_is_refused_inside_and_fatal_when_named(self, tmp_path):
        locked = write(tmp_path / "docs" / "a.txt", "text")
        locked.chmod(0)
        assert only_refusal(load([tmp_path / "docs"])).outcome == "refused"
        with pytest.raises(PathError, match="permission"):
            load([locked])

    def test_a_deep_tree_is_walked_to_its_end(self, tmp_path):
        folder = tmp_path
        for _ in range(600):
            folder = folder / "d"
        write(folder / "end.txt", "text")
        (document,) = load([tmp_path])
        assert document.external_id.endswith("d/end.txt")

    def test_names_of_any_bytes_are_shown_and_opened(self, tmp_path):
        for name in (b"bad\xff.txt", b"new\nline.txt", "sür.txt".encode(), b"%2e%2e.txt"):
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("text")
        loaded = list(load([tmp_path]))
        assert ids(loaded) == ["%2e%2e.txt", "bad\\xff.txt", "new\\nline.txt", "sür.txt"]
        assert all(document.uri.encode() and document.data == b"text" for document in loaded)

    def test_walking_names_the_files_without_reading_them(self, tmp_path):
        write(tmp_path / "a.xyz", "text")
        write(tmp_path / "b.txt", "")
        assert list(walk([tmp_path])) == [
            FoundFile(
                path=tmp_path / name,
                uri=f"{tmp_path}/{name}",
                external_id=name,
                status=(tmp_path / name).stat(),
            )
            for name in ("a.xyz", "b.txt")
        ]


class TestContents:
    def test_empty_files_are_skipped(self, tmp_path):
        refusal = only_refusal(load([write(tmp_path / "a.txt", "")]))
        assert (refusal.outcome, refusal.reason) == ("skipped", "the file is empty")

    def test_a_file_over_the_limit_is_refused_and_one_at_it_is_not(self, tmp_path):
        at, over = write(tmp_path / "at.txt", "x" * 100), write(tmp_path / "over.txt", "x" * 101)
        loaded = list(load([at, over], Limits(document=100)))
        assert ids(loaded) == ["at.txt"]
        assert refusals(loaded) == [
            ("over.txt", "refused", "it is larger than 100 bytes: split it")
        ]

    def test_a_vast_file_is_refused_without_being_read(self, tmp_path):
        vast = write(tmp_path / "vast.txt", "words " * 2000)
        os.truncate(vast, 1 << 40)
        assert "larger than" in only_refusal(load([vast])).reason

    def test_an_unknown_format_is_skipped_with_the_ones_that_are_known(self, tmp_path):
        refusal = only_refusal(load([write(tmp_path / "a.xyz", b"\0\1\2")]))
        assert refusal.outcome == "skipped"
        assert "'.xyz' is not supported; supported are .txt" in refusal.reason
        assert refusal.source == f"{tmp_path}/a.xyz"


class TestJsonLines:
    def lines(self, *records) -> str:
        return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)

    def test_each_line_is_a_document_with_its_own_id(self, tmp_path):
        path = write(
            tmp_path / "a.jsonl",
            self.lines(
                {"_id": "x", "text": "1"},
                {"_id": 7, "text": "2"},
                {"text": "3"},
                {"_id": None, "text": "4"},
            ),
        )
        loaded = list(load([path]))
        assert ids(loaded) == ["x", "7", "a.jsonl#3", "a.jsonl#4"]
        assert {(d.uri, d.format) for d in loaded} == {(path.as_posix(), "jsonl")}
        assert loaded[0].data == b'{"_id": "x", "text": "1"}'
        assert loaded[0].label == f"{path} [x]"

    def test_a_line_number_names_a_record_by_its_path_in_the_folder(self, tmp_path):
        write(tmp_path / "sub" / "a.ndjson", self.lines({"text": "1"}))
        assert ids(load([tmp_path])) == ["sub/a.ndjson#1"]

    def test_line_ends_marks_and_blank_lines_are_not_part_of_a_record(self, tmp_path):
        path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text":"1"}\r\n\r\n  \n{"text":"2"}\n')
        assert [(d.external_id, d.data) for d in load([path])] == [
            ("a.jsonl#1", b'{"text":"1"}'),
            ("a.jsonl#4", b'{"text":"2"}'),
        ]

    def test_bad_lines_are_refused_by_number_and_the_others_come(self, tmp_path):
        path = write(
            tmp_path / "a.jsonl",
            self.lines(
                {"_id": "1", "text": "ok"},
                "{broken",
                "[1]",
                {"title": "no text"},
                {"text": 5},
                {"_id": "1", "text": "again"},
                {"_id": ["a"], "text": "x"},
                {"_id": True, "text": "x"},
                {"_id": "a\u0000b", "text": "x"},
                {"_id": "\ud800", "text": "x"},
                "[" * 100_000,
                '{"text": "x", "n": ' + "9" * 5000 + "}",
                {"_id": "2", "text": "ok"},
            ),
        )
        loaded = list(load([path]))
        assert ids(loaded) == ["1", "2"]
        assert [(name, outcome) for name, outcome, _ in refusals(loaded)] == [
            (f"a.jsonl:{number}", "refused") for number in range(2, 13)
        ]
        reasons = {name: reason for name, _, reason in refusals(loaded)}
        assert "not valid JSON" in reasons["a.jsonl:2"]
        assert "stands on line 1 already" in reasons["a.jsonl:6"]

    def test_bytes_that_are_no_utf8_are_refused_by_line(self, tmp_path):
        path = write(tmp_path / "a.jsonl", b'{"text": "ok"}\n' + b'{"text": "\xff"}\n')
        loaded = list(load([path]))
        assert ids(loaded) == ["a.jsonl#1"]
        assert "not valid UTF-8" in refusals(loaded)[0][2]

    def test_a_line_over_the_limit_is_refused_and_numbers_stay_right(self, tmp_path):
        at = '{"text": "' + "x" * 88 + '"}'
        assert len(at) == 100
        path = write(tmp_path / "a.jsonl", at + "\r\n" + at.replace("x", "xx") + "\n" + at)
        loaded = list(load([path], Limits(line=100)))
        assert ids(loaded) == ["a.jsonl#1", "a.jsonl#3"]
        assert refusals(loaded) == [
            ("a.jsonl:2", "refused", "the line is longer than 100 bytes: split the record")
        ]

    def test_a_file_is_read_a_line_at_a_time(self, tmp_path):
        path = tmp_path / "big.jsonl"
        line = json.dumps({"text": "words " * 1000}).encode() + b"\n"
        with path.open("wb") as file:
            file.writelines(line for _ in range(5000))
        tracemalloc.start()
        try:
            count = sum(1 for _ in load([path], Limits(document=1000)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 5000
        assert peak < path.stat().st_size / 10

    def test_the_first_document_comes_before_the_last_is_read(self, tmp_path):
        path = write(tmp_path / "a.jsonl", '{"text": "1"}\n' * 3)
        assert ids(islice(load([path]), 1)) == ["a.jsonl#1"]
