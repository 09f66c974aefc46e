from contextlib import suppress
from datetime import UTC, datetime

import pytest
from aspose.email_foss import msg

from ingest.errors import RefusedError
from ingest.parse import email
from ingest.parse.outlook import as_mail, decompressed

WHEN = datetime(2026, 3, 15, 10, 30, tzinfo=UTC)


def message(subject: str = "Grüße", body: str = "Der Turm\r\nsteht.") -> msg.MapiMessage:
    made = msg.MapiMessage.create(subject, body)
    made.set_property(msg.PropertyId.SENDER_NAME, "Build Agent")
    made.set_property(msg.PropertyId.SENDER_EMAIL_ADDRESS, "build.agent@example.com")
    made.set_property(msg.PropertyId.MESSAGE_DELIVERY_TIME, WHEN)
    made.add_recipient("alice@example.com", display_name="Alice Exämple")
    return made


def read(made: msg.MapiMessage):
    return email.opened(as_mail(made.to_bytes()))


def test_a_message_reads_like_a_mail():
    parsed, attachments = read(message())
    assert parsed.title == "Grüße"
    assert "Der Turm\nsteht." in parsed.text.replace("\r\n", "\n")
    assert parsed.metadata == {
        "sender": "Build Agent <build.agent@example.com>",
        "recipients": "Alice Exämple <alice@example.com>",
        "date": WHEN.isoformat(),
    }
    assert attachments == []


def test_attachments_keep_their_names_and_bytes():
    made = message()
    made.add_attachment("Größe.txt", b"tall \xff\x00", mime_type="text/plain")
    _, (attached,) = read(made)
    assert (attached.path, attached.data) == ("Größe.txt", b"tall \xff\x00")


def test_messages_inside_are_mails_inside():
    inner = message("Inner", "inner words")
    inner.add_attachment("deep.txt", b"deep", mime_type="text/plain")
    outer = message()
    outer.add_embedded_message_attachment(inner)
    _, (attached,) = read(outer)
    parsed, (deep,) = email.opened(attached.data)
    assert attached.path == "Inner.eml"
    assert "inner words" in parsed.text
    assert (deep.path, deep.data) == ("deep.txt", b"deep")


def test_a_html_body_is_read_where_there_is_no_plain_one():
    made = message(body="")
    made.body_html = "<p>Only <b>markup</b></p>"
    assert "Only markup" in read(made)[0].text


def test_subjects_with_line_ends_forge_no_headers():
    parsed, _ = read(message("x\r\nBcc: evil@example.org\r\n\r\nbody"))
    assert parsed.title == "x Bcc: evil@example.org body"


@pytest.mark.parametrize("cut", [8, 512, 1024, 3000])
def test_a_message_that_was_cut_short_is_refused_or_read(cut):
    data = message().to_bytes()
    with suppress(RefusedError):
        assert email.opened(as_mail(data[:cut]))[0].text


def test_no_changed_byte_makes_it_fail_in_any_other_way():
    data = message().to_bytes()
    for at in range(0, len(data), 97):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        with suppress(RefusedError):
            assert email.opened(as_mail(bytes(changed)))


class TestRichText:
    """The examples of [MS-OXRTFCP], 4."""

    def test_packed_text_is_unpacked(self):
        packed = bytes.fromhex(
            "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232"
            "0af32068656c090020627705b06c647d0a800fa0"
        )
        assert decompressed(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"

    def test_a_reference_may_reach_into_what_it_writes(self):
        packed = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
        assert decompressed(packed) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"

    def test_damage_ends_it(self):
        packed = bytes.fromhex("1a0000001c0000004c5a4675e2d44b5141000420575859")
        assert decompressed(packed).startswith(b"{\\rtf1 WXY")
