import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from random import Random

import pytest

from ingest.errors import RefusedError
from ingest.parse.archive import contents
from ingest.parse.budget import Budget, ExhaustedError
from ingest.parse.inner import Unread
from ingest.records import Inner
from ingest.settings import ParseSettings

MEGABYTE = 1024 * 1024


def read(data: bytes, name: str = "x", **limits) -> list[Inner | Unread]:
    return list(contents(data, name, Budget.of(len(data), ParseSettings(**limits))))


def paths(found) -> list[str]:
    return [item.path for item in found if isinstance(item, Inner)]


def reasons(found) -> dict[str, str]:
    return {item.path: str(item.error) for item in found if isinstance(item, Unread)}


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo | tuple[str, bytes], mode="w", **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


class TestZip:
    def test_members_come_in_order_and_what_is_hidden_is_left_out(self):
        found = read(
            zipped(
                ("b.txt", b"b"),
                ("docs/", b""),
                ("docs/a.txt", b"a"),
                (".env", b"secret"),
                ("__MACOSX/._a.txt", b"x"),
                (".git/config", b"x"),
            )
        )
        assert found == [Inner(path="b.txt", data=b"b"), Inner(path="docs/a.txt", data=b"a")]

    def test_names_never_lead_out_of_it(self):
        names = ["../../etc/x", "/etc/passwd", "C:\\win\\x.ini", "a/../../x", "./a//b", "x\ny\x1b"]
        found = read(zipped(*((name, b"x") for name in names)))
        assert paths(found) == ["etc/passwd", "win/x.ini", "a/b", "x\\ny\\x1b"]
        assert set(reasons(found)) == {"../../etc/x", "a/../../x"}

    def test_names_in_unmarked_utf8_are_read_as_such(self):
        data = zipped(("Gr\u00fc\u00dfe.txt", b"x"))
        cleared = data.replace(struct.pack("<H", 0x800), struct.pack("<H", 0))
        assert paths(read(cleared)) == ["Grüße.txt"]

    def test_links_are_not_followed(self):
        link = zipfile.ZipInfo("a.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        assert "link" in reasons(read(zipped((link, b"/etc/passwd"))))["a.txt"]

    def test_a_locked_member_is_refused_and_the_others_come(self):
        data = bytearray(zipped(("a.txt", b"locked"), ("b.txt", b"open")))
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        found = read(bytes(data))
        assert paths(found) == ["b.txt"]
        assert "password" in reasons(found)["a.txt"]

    def test_a_damaged_member_is_refused_and_the_others_come(self):
        data = zipped(("a.txt", b"words " * 50), ("b.txt", b"open"), method=zipfile.ZIP_STORED)
        found = read(data.replace(b"words words", b"wards words", 1))
        assert paths(found) == ["b.txt"]
        assert "damaged" in reasons(found)["a.txt"]

    def test_a_bomb_is_refused_before_it_is_unpacked(self):
        data = zipped(("a.txt", b"\0" * 60 * MEGABYTE), ("b.txt", b"small"))
        tracemalloc.start()
        try:
            found = read(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert paths(found) == ["b.txt"]
        assert "200 times the file's own size" in reasons(found)["a.txt"]
        assert peak < 10 * MEGABYTE

    def test_a_member_that_lies_about_its_size_gives_no_more_than_it_said(self):
        data = bytearray(zipped(("a.txt", b"\0" * 20 * MEGABYTE)))
        at = data.index(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", 100)
        assert "damaged" in reasons(read(bytes(data)))["a.txt"]

    def test_all_members_count_together(self):
        data = zipped(*((f"{n}.txt", b"\0" * 6 * MEGABYTE) for n in range(4)))
        found = read(data)
        assert paths(found) == ["0.txt", "1.txt"]
        assert set(reasons(found)) == {"2.txt", "3.txt"}

    @pytest.mark.parametrize("cut", [4, 30, 60])
    def test_a_zip_that_was_cut_short_is_refused(self, cut):
        with pytest.raises(RefusedError, match="damaged or cut short"):
            read(zipped(("a.txt", b"x" * 50))[:cut])


class TestTar:
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_members_are_read_however_it_is_packed(self, mode):
        found = read(tarred(("a.txt", b"words"), ("d/b.txt", b"more"), mode=mode))
        assert found == [Inner(path="a.txt", data=b"words"), Inner(path="d/b.txt", data=b"more")]

    def test_links_devices_and_names_that_lead_out_are_skipped(self):
        found = read(
            tarred(
                special("sym", tarfile.SYMTYPE, "/etc/passwd"),
                special("hard", tarfile.LNKTYPE, "sym"),
                special("dev", tarfile.CHRTYPE),
                special("pipe", tarfile.FIFOTYPE),
                special("folder", tarfile.DIRTYPE),
                ("../../x", b"x"),
                ("/abs.txt", b"abs"),
            )
        )
        assert found[-1] == Inner(path="abs.txt", data=b"abs")
        assert set(reasons(found)) == {"sym", "hard", "dev", "pipe", "../../x"}

    def test_a_bomb_stops_when_the_budget_is_spent(self):
        data = tarred(("a.txt", b"words"), ("b.txt", b"\0" * 40 * MEGABYTE), mode="w:gz")
        budget = Budget.of(len(data), ParseSettings())
        reading = contents(data, "x.tgz", budget)
        assert next(reading) == Inner(path="a.txt", data=b"words")
        with pytest.raises(RefusedError, match="bomb"):
            next(reading)

    def test_a_header_that_claims_terabytes_is_refused_unread(self):
        header = tarfile.TarInfo("a.txt")
        header.size = 1 << 40
        data = header.tobuf() + b"x" * 1024
        reading = contents(data, "x.tar", Budget.of(len(data), ParseSettings()))
        with pytest.raises(RefusedError, match="bomb"):
            next(reading)

    def test_a_hidden_member_is_no_way_around_the_limits(self):
        header = tarfile.TarInfo(".x")
        header.size = 1 << 40
        with pytest.raises(RefusedError, match="bomb"):
            read(header.tobuf() + b"x" * 1024)

    def test_damage_after_the_first_member_is_not_taken_for_the_end(self):
        data = bytearray(tarred(("a.txt", b"words"), ("b.txt", b"more")))
        data[1024 + 150] ^= 0xFF
        reading = contents(bytes(data), "x.tar", Budget.of(len(data), ParseSettings()))
        assert next(reading).path == "a.txt"
        with pytest.raises(RefusedError, match="damaged"):
            next(reading)

    def test_long_names_are_whole_and_bounded(self):
        (found,) = read(tarred(("d/" * 120 + "a.txt", b"x")))
        assert found.path == "d/" * 120 + "a.txt"

    def test_a_compressed_tar_that_was_cut_short_keeps_what_came_before(self):
        noise = Random(0).randbytes(200_000)
        data = tarred(("a.txt", b"words"), ("b.bin", noise), mode="w:gz")
        reading = contents(data[:-60], "x.tgz", Budget.of(len(data), ParseSettings()))
        assert next(reading).path == "a.txt"
        with pytest.raises(RefusedError, match="damaged"):
            list(reading)


class TestSingleFiles:
    @pytest.mark.parametrize(
        ("pack", "name"), [(gzip.compress, "a.txt.gz"), (bz2.compress, "a.txt.bz2")]
    )
    def test_it_is_called_by_the_name_less_the_extension(self, pack, name):
        assert read(pack(b"words"), name) == [Inner(path="a.txt", data=b"words")]
        assert read(lzma.compress(b"words"), "b.md.xz") == [Inner(path="b.md", data=b"words")]

    def test_a_bomb_is_refused(self):
        with pytest.raises(ExhaustedError, match="bomb"):
            read(gzip.compress(b"\0" * 30 * MEGABYTE), "a.txt.gz")

    def test_the_whole_size_is_limited_too(self):
        noise = gzip.compress(bytes(range(256)) * 8192, 1)
        with pytest.raises(ExhaustedError, match="over 1 MB"):
            read(noise, "a.gz", max_expanded_mb=1)

    def test_what_is_no_archive_is_refused(self):
        with pytest.raises(RefusedError):
            read(b"\0" * 1024, "a.tar")


class TestMailboxes:
    def test_each_message_is_a_file(self):
        data = (
            b"From a@b.c Mon\nSubject: 1\n\none\n>From here\n\nFrom d@e.f Tue\nSubject: 2\n\ntwo\n"
        )
        found = read(data, "a.mbox")
        assert paths(found) == ["1.eml", "2.eml"]
        assert found[1].data.startswith(b"Subject: 2\n\ntwo")
