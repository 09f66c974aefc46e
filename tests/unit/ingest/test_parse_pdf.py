import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.parse import pdf
from ingest.parse.pdf import page_images, parse

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def stream(content: bytes) -> bytes:
    return b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content)


def written(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """A PDF file of numbered objects, the first of which is its catalogue."""
    out, offsets = bytearray(b"%PDF-1.7\n"), {}
    for number, content in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offsets[number] for number in sorted(objects))
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        trailer,
        table,
    )
    return bytes(out)


def document(*pages: str, info: bytes = b"", marks: Sequence[tuple[str, int]] = ()) -> bytes:
    """Pages of lines, set in Helvetica; `marks` are bookmarks and the pages that they lead to."""
    first = 4
    kids = b" ".join(b"%d 0 R" % (first + 2 * n) for n in range(len(pages)))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        3: FONT,
    }
    for n, page in enumerate(pages):
        shown = b" 0 -14 Td ".join(b"(%s) Tj" % line.encode("cp1252") for line in page.split("\n"))
        objects[first + 2 * n] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (first + 2 * n + 1)
        )
        objects[first + 2 * n + 1] = stream(b"BT /F1 12 Tf 72 700 Td %s ET" % shown)
    if marks:
        outlines = len(objects) + 1
        objects[1] = b"<</Type/Catalog/Pages 2 0 R/Outlines %d 0 R>>" % outlines
        objects[outlines] = b"<</First %d 0 R/Last %d 0 R>>" % (
            outlines + 1,
            outlines + len(marks),
        )
        for place, (title, page) in enumerate(marks, 1):
            following = b"/Next %d 0 R" % (outlines + place + 1) if place < len(marks) else b""
            objects[outlines + place] = b"<</Title(%s)/Parent %d 0 R/Dest[%d 0 R/Fit]%s>>" % (
                title.encode("cp1252"),
                outlines,
                first + 2 * page,
                following,
            )
    objects[len(objects) + 1] = b"<<%s>>" % info
    return written(objects, b"/Info %d 0 R" % len(objects))


def scan(*pages: int) -> bytes:
    """A page for each number: 1 shows a picture, black on its left and white on its right."""
    image = (
        b"q 100 0 0 100 0 0 cm BI /W 2 /H 1 /CS /G /BPC 8 /F /AHx ID 00FF> EI Q",
        b"BT /F1 12 Tf 10 50 Td (page) Tj ET",
    )
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        3: FONT,
    }
    for n, shows in enumerate(pages):
        objects[4 + 2 * n] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (5 + 2 * n)
        )
        objects[5 + 2 * n] = stream(image[0] if shows else image[1])
    return written(objects)


def test_every_page_ends_with_a_break_also_a_blank_one():
    parsed = parse(document("", "Second page", "", "Fourth\npage"))
    assert parsed.text.split("\f") == ["", "Second page", "", "Fourth\npage", ""]
    assert parsed.metadata["pages"] == 4
    assert parsed.has_pages


def test_bookmarks_make_headings_of_the_lines_that_say_the_same_on_their_page():
    pages = ("Contents\nThe light", "1.2 The\nLight\nIt was lit.\nThe light")
    marks = (("The light", 1), ("Not there", 0), ("", 0))
    parsed = parse(document(*pages, marks=marks))
    assert parsed.text == "Contents\nThe light\f# 1.2 The Light\nIt was lit.\nThe light\f"
    assert parsed.has_headings


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    assert parse(document("# of pages\n#1")).text == "\\# of pages\n#1\f"
    marked = document("# of pages\nReal", marks=[("Real", 0)])
    assert parse(marked).text == "\\# of pages\n# Real\f"


def test_bookmarks_that_lead_in_a_circle_end():
    marked = document("a", marks=[("a", 0), ("b", 0)])
    last = marked.index(b"/Title(b)")
    looped = marked[:last] + marked[last:].replace(b"/Fit]", b"/Fit]/Next 7 0 R", 1)
    assert parse(looped).text.endswith("\f")


def test_pages_that_are_pictures_are_read_by_who_can():
    seen = []

    def read(image):
        seen.append((image.mode, image.getpixel((1, 5)), image.getpixel((image.width - 2, 5))))
        return "\fread aloud"

    parsed = parse(scan(0, 1, 0, 1), read)
    assert parsed.text == "page\f\nread aloud\fpage\f\nread aloud\f"
    assert seen == [("L", 0, 255)] * 2


def test_pictures_of_pages_are_drawn_at_the_scale_and_never_too_large():
    assert [image.size for image in page_images(scan(1, 1), [1, 0], 2.0)] == [(200, 200)] * 2
    (image,) = page_images(scan(1), [0], 1000.0)
    assert image.width * image.height <= pdf.MAX_PIXELS * 1.01


def test_the_lock_is_free_while_a_picture_is_read():
    def read(image):
        return parse(document("other")).text

    assert "other" in parse(scan(1), read).text


def test_pictures_that_say_nothing_are_skipped_without_advice_to_read_them():
    with pytest.raises(SkippedError, match="nothing could be read"):
        parse(scan(1), lambda image: " ")


def test_a_word_cut_by_a_line_end_is_made_whole():
    assert "is controlled by" in parse(document("The light is con-\ntrolled by a clock")).text


@pytest.mark.parametrize(
    ("cut", "rest", "whole"),
    [
        ("multi-", "agent", "multi-agent"),
        ("Stress-", "Engineered", "Stress-Engineered"),
        ("snap-", "down", "snap-down"),
        ("light-", "house", "lighthouse"),
    ],
)
def test_a_compound_keeps_its_hyphen_where_the_document_speaks_for_it(cut, rest, whole):
    text = "multi-agent systems snap and go down and light a lighthouse in a house"
    assert f"this {whole} here" in " ".join(
        parse(document(f"{text}\nthis {cut}\n{rest} here")).text.split()
    )


def test_ligatures_are_spelled_out():
    assert pdf._mended("ﬁre of the ﬂoating oﬃce") == "fire of the floating office"


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("The Fresnel lens", "The Fresnel lens"),
        ("1984", ""),
        ("untitled", ""),
        ("Microsoft Word - report.doc", ""),
        ("final_v3.pdf", ""),
        ("C:\\\\docs\\\\x", ""),
        ("\\(anonymous\\)", ""),
        ("Document1", ""),
        ("PowerPoint Presentation", ""),
        ("Documents of the Lighthouse Board", "Documents of the Lighthouse Board"),
        ("None of the above", "None of the above"),
    ],
)
def test_only_a_title_that_says_something_is_taken(title, kept):
    assert parse(document("words", info=b"/Title(%s)" % title.encode())).title == kept


def test_what_the_file_says_of_itself_becomes_metadata():
    parsed = parse(document("words", info=b"/Author(A. Keeper)/Keywords(light)/Producer(x)"))
    assert parsed.metadata == {"author": "A. Keeper", "keywords": "light", "pages": 1}


def test_a_garbled_title_does_not_cost_the_text():
    parsed = parse(document("words", info=b"/Title<FEFFDC00DC00>/Author(A. Keeper)"))
    assert (parsed.text, parsed.title) == ("words\f", "")
    assert parsed.metadata["author"] == "A. Keeper"


def test_a_scan_is_skipped_with_the_remedy():
    with pytest.raises(SkippedError, match="OCR"):
        parse(scan(1, 1))


def test_a_page_without_text_and_pictures_is_not_called_a_scan():
    with pytest.raises(SkippedError, match=r"it holds no text$"):
        parse(document(""))


def test_a_locked_file_is_refused_for_its_password():
    locked = written(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Kids[]/Count 0>>",
            3: b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (b"ab" * 32, b"cd" * 32),
        },
        b"/Encrypt 3 0 R/ID[<00112233445566778899aabbccddeeff><00112233445566778899aabbccddeeff>]",
    )
    with pytest.raises(RefusedError, match="password"):
        parse(locked)


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.4\n" + bytes(range(256)) * 50, b""])
def test_a_broken_file_is_refused(data):
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(data)


def test_a_page_tree_that_contains_itself_ends():
    with pytest.raises((RefusedError, SkippedError)):
        parse(
            written(
                {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[2 0 R]/Count 2>>"}
            )
        )


def test_a_content_bomb_ends():
    packed = zlib.compress(b" " * (32 << 20), 9)
    bomb = written(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
            4: b"<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream" % (len(packed), packed),
        }
    )
    with pytest.raises(SkippedError):
        parse(bomb)


def test_text_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_CHARACTERS", 100)
    with pytest.raises(RefusedError, match="more than 100 characters"):
        parse(document("word " * 15, "word " * 15))


def test_one_document_waits_for_the_other():
    with ThreadPoolExecutor(1) as pool:
        with pdf._ONE_AT_A_TIME:
            waiting = pool.submit(parse, document("words"))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=10).text == "words\f"


def test_threads_do_not_disturb_one_another():
    files = [document(*(f"File {n} page {p}" for p in range(20))) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda data: parse(data).text, files * 5))
    assert texts == [parse(data).text for data in files] * 5
