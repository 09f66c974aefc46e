import io
import struct
import zlib

import pytest
from PIL import ExifTags, Image, ImageDraw, PngImagePlugin

from ingest.errors import RefusedError
from ingest.parse.image import parse


def picture(kind: str = "JPEG", size=(40, 30), **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, kind, **options)
    return buffer.getvalue()


def test_what_a_photograph_says_of_itself_is_text_and_metadata():
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "The tower\nat dawn"
    exif[ExifTags.Base.Artist] = "Jane Doe"
    exif[ExifTags.Base.Model] = "X100"
    exif[ExifTags.Base.DateTime] = "2024:05:01 10:20:30"
    parsed = parse(picture(exif=exif), "tower.jpg")
    assert parsed.text.startswith("Image tower.jpg: JPEG, 40 × 30 pixels\n")
    assert "description: The tower at dawn" in parsed.text
    assert parsed.metadata == {
        "description": "The tower at dawn",
        "artist": "Jane Doe",
        "camera": "X100",
        "taken": "2024-05-01 10:20:30",
    }


def test_where_it_was_taken_is_left_out():
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (54.0, 12.0, 34.0)
    parsed = parse(picture(exif=exif))
    assert "54" not in parsed.text
    assert parsed.metadata == {}


def test_the_texts_of_a_png_are_read():
    said = PngImagePlugin.PngInfo()
    said.add_text("Title", "Plan")
    said.add_itxt("Description", "Größe", zip=True)
    parsed = parse(picture("PNG", pnginfo=said))
    assert (parsed.title, parsed.metadata["description"]) == ("Plan", "Größe")


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_every_kind_is_named(kind):
    assert f"{kind}, 40 × 30 pixels" in parse(picture(kind)).text


def test_what_is_to_be_read_in_it_follows():
    seen = []

    def read_image(image: Image.Image) -> str:
        seen.append(image.size)
        return "STOP"

    assert parse(picture(), read_image=read_image).text.endswith("STOP")
    assert seen == [(40, 30)]


def test_a_picture_too_large_to_open_is_refused():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for content in (b"IHDR" + header, b"IDAT"):
        size, check = struct.pack(">I", len(content) - 4), struct.pack(">I", zlib.crc32(content))
        png += size + content + check
    with pytest.raises(RefusedError, match="pixels: make it smaller"):
        parse(png)


def test_a_broken_picture_is_refused():
    for data in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"x" * 50, b"GIF89a"):
        with pytest.raises(RefusedError, match="not a whole image"):
            parse(data)


def test_a_page_is_read_for_real_with_the_ocr_extra():
    pytest.importorskip("rapidocr")
    from ingest.parse.ocr import read_image

    page = Image.new("RGBA", (700, 160))
    draw = ImageDraw.Draw(page)
    draw.text((20, 20), "The Eddystone Lighthouse", fill="black", font_size=40)
    draw.text((20, 90), "Total:", fill="black", font_size=40)
    draw.text((400, 90), "1,250 EUR", fill="black", font_size=40)
    assert read_image(page) == "The Eddystone Lighthouse\nTotal: 1,250 EUR"
    assert read_image(Image.new("L", (90, 90))) == ""
