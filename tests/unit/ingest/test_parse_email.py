import time
from email.message import EmailMessage

import pytest

from ingest.errors import RefusedError
from ingest.parse.email import opened


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return message


def test_headers_are_text_and_metadata():
    message = mail(
        From="Jané <jane@example.org>",
        To="a@example.org, b@example.org",
        Subject="Größe des Turms",
        Date="Tue, 05 Mar 2024 10:00:00 +0100",
        Message_ID="<1@example.org>",
        In_Reply_To="<0@example.org>",
    )
    message.set_content("It is tall.\n\n> how tall?\n")
    parsed, attachments = opened(message.as_bytes())
    assert parsed.title == "Größe des Turms"
    assert parsed.text.splitlines()[:2] == [
        "From: Jané <jane@example.org>",
        "To: a@example.org, b@example.org",
    ]
    assert "> how tall?" in parsed.text
    assert parsed.metadata == {
        "sender": "Jané <jane@example.org>",
        "recipients": "a@example.org, b@example.org",
        "message_id": "<1@example.org>",
        "in_reply_to": "<0@example.org>",
        "date": "2024-03-05T10:00:00+01:00",
    }
    assert attachments == []


def test_the_plain_body_is_preferred_to_the_html_one():
    message = mail(Subject="x")
    message.set_content("plain words")
    message.add_alternative("<p>html words</p>", subtype="html")
    text = opened(message.as_bytes())[0].text
    assert "plain words" in text
    assert "html words" not in text


def test_html_is_read_as_a_reader_sees_it():
    message = mail(Subject="x")
    message.set_content(
        "<script>evil()</script><p>Grüße <b>an</b> alle", subtype="html", charset="iso-8859-1"
    )
    text = opened(message.as_bytes())[0].text
    assert "Grüße an alle" in text
    assert "evil" not in text


def test_an_empty_plain_body_gives_way():
    message = mail(Subject="x")
    message.set_content(" \n")
    message.add_alternative("<p>html words</p>", subtype="html")
    assert "html words" in opened(message.as_bytes())[0].text


def test_attachments_are_files_and_pictures_on_the_page_are_not():
    message = mail(Subject="x")
    message.set_content("see")
    message.add_alternative("<img src='cid:1'>", subtype="html")
    message.get_payload()[1].add_related(b"PNG", "image", "png", cid="<1>")
    message.add_attachment(b"%PDF-", "application", "pdf", filename="../../etc/Grö\u00dfe.pdf")
    message.add_attachment("notes", filename="a.txt")
    message.add_attachment(b"{}", "application", "json")
    parsed, attachments = opened(message.as_bytes())
    assert [item.path for item in attachments] == ["Größe.pdf", "a.txt", "attachment 3"]
    assert attachments[1].data == b"notes\n"
    assert "Attachments: Größe.pdf, a.txt, attachment 3" in parsed.text


def test_a_forwarded_mail_is_a_mail_inside():
    inner = mail(Subject="Inner / one", From="i@example.org")
    inner.set_content("inner words")
    message = mail(Subject="outer")
    message.set_content("see below")
    message.add_attachment(inner)
    _, (attached,) = opened(message.as_bytes())
    assert attached.path == "Inner - one.eml"
    assert opened(attached.data)[0].title == "Inner / one"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"Subject: =?utf-8?b?broken\n\nbody", "body"),
        (b"Subject: =?nope?q?x=FF?=\n\nbody", "body"),
        (b"Subject: x\nContent-Type: text/plain; charset=nope\n\nGr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Subject: x\nContent-Type: text/plain; charset=utf-8\n\nGr\xfc\xdfe an alle", "Grüße"),
        (b"Subject: x\nContent-Transfer-Encoding: base64\n\n!!!not base64", "x"),
        (b"Subject: x\nContent-Type: multipart/mixed\n\nno boundary", "no boundary"),
        (b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nnever closed", "closed"),
        (b"Date: not a date\nSubject: x\n\nbody", "not a date"),
        (b"Subject: x\nFrom: \xff\xfe\n\nbody", "body"),
    ],
)
def test_broken_mails_keep_what_can_be_read(raw, wanted):
    assert wanted in opened(raw)[0].text


def test_what_has_no_headers_is_refused():
    with pytest.raises(RefusedError, match="no headers"):
        opened(b"just words\nin a file")


def test_parts_nested_without_end_are_refused():
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )
    with pytest.raises(RefusedError, match="nested too deeply"):
        opened(b"Subject: x\n" + deep)


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain; " + b"a=b; " * 200_000,
        b'Content-Type: text/plain; x="' + b'\\"' * 300_000,
        b"Subject: " + b"=?utf-8?q?x?= " * 100_000,
        b"To: " + b"(" * 500_000,
        b"Subject: " + b"\n x" * 300_000,
        b"\n".join(b"X-H%d: v" % n for n in range(50_000)),
    ],
)
def test_header_bombs_cost_little(header):
    started = time.process_time()
    parsed, _ = opened(header + b"\nReply-To: x\n\nbody")
    assert "body" in parsed.text
    assert time.process_time() - started < 5
