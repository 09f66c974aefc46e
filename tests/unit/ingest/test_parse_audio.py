import io
import wave

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.parse.audio import parse
from ingest.parse.media import described
from ingest.parse.registry import parts
from ingest.records import Part, RawDocument, ReadText, Refusal
from ingest.settings import ParseSettings


def recording(seconds: float = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * int(8000 * seconds))
    return buffer.getvalue()


def tagged() -> bytes:
    def frame(name: bytes, value: str) -> bytes:
        content = b"\x03" + value.encode()
        return name + len(content).to_bytes(4, "big") + b"\0\0" + content

    frames = frame(b"TIT2", "Fog signal") + frame(b"TPE1", "Trinity House")
    mp3 = (b"\xff\xfb\x90\x00" + b"\0" * 413) * 200
    return b"ID3\x03\0\0" + bytes([0, 0, len(frames) >> 7, len(frames) & 127]) + frames + mp3


def test_length_and_name_are_told():
    parsed = parse(recording(65), "fog.wav")
    assert parsed.text == "Recording fog.wav: 0:01:05"
    assert parsed.metadata == {"duration_s": 65.0}


def test_tags_are_text_and_metadata():
    parsed = parse(tagged(), "fog.mp3")
    assert parsed.title == "Fog signal"
    assert "artist: Trinity House" in parsed.text
    assert parsed.metadata["artist"] == "Trinity House"


def test_what_is_no_recording_is_refused():
    with pytest.raises(RefusedError, match="not a whole recording"):
        parse(b"no sound at all" * 10)


class LoudnessReader:
    """Says how loud a recording is: a reader without a model."""

    def read(self, data: bytes, media_type: str) -> str:
        if media_type != "audio/wav":
            raise SkippedError(f"it can't listen to {media_type}")
        with wave.open(io.BytesIO(data)) as file:
            loudest = max(file.readframes(file.getnframes()))
        return "It is silent all the time." if not loudest else "Something is heard."


class TestDescriptions:
    def part(self, data: bytes, name: str) -> Part:
        raw = RawDocument(
            uri=f"/{name}", external_id=name, data=data, format="audio", media_type="audio/*"
        )
        return parts(raw, ParseSettings())[0]

    def test_what_the_reader_says_follows_the_files_own_text(self):
        data = recording()
        part = described(self.part(data, "a.wav"), data, LoudnessReader())
        assert isinstance(part.content, ReadText)
        assert part.content.text == "Recording a.wav: 0:00:02\n\nIt is silent all the time."
        assert part.content.language == "en"

    def test_what_the_reader_can_not_read_is_its_error(self):
        part = self.part(tagged(), "a.mp3")
        with pytest.raises(SkippedError, match="audio/mpeg"):
            described(part, tagged(), LoudnessReader())

    def test_other_documents_and_refusals_are_left_alone(self):
        content = ReadText(text="words")
        text = Part(path="", media_type="text/plain", content=content)
        refusal = Refusal(source="a", reason="b", outcome="refused")
        broken = Part(path="", media_type="audio/wav", content=refusal)
        assert described(text, b"", LoudnessReader()) is text
        assert described(broken, b"", LoudnessReader()) is broken
