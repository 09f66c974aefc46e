"""What is on record of an exchange beside question and answer: messages, tags, keys, artifacts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from storage.clock import now
from storage.engine import Database
from storage.errors import (
    AlreadyAskedError,
    IdempotencyKeyError,
    InvalidRecordError,
    NotFoundError,
    SealError,
)
from storage.history import History
from storage.models.artifacts import ArtifactRow
from storage.models.prompts import MessageRow, PromptRow, PromptTagRow
from storage.prompts import messages
from storage.prompts.artifacts import LARGEST_BLOB, PromptArtifacts
from storage.prompts.tags import MAX_TAGS, PromptTags
from storage.records import (
    LOCAL_OWNER,
    Message,
    Principal,
    PromptEnd,
    PromptId,
    PromptStart,
)

BERT = Principal(name="bert")
SYSTEM = Message("system", "Be brief.")
UNSTORABLE = ("a\0b", "half \ud83d of a character")


def asked(question: str = "Why?", **values: object) -> PromptStart:
    given = {
        "user": "anna",
        "session": None,
        "parent_id": None,
        "collection": "default",
        "generation": 1,
        "model": "tiny",
        "weights_sha256": "a" * 64,
        "template_sha256": "b" * 64,
        "rendered": "",
        "sampling": {},
        "evidence": (),
        "system": SYSTEM.content,
        **values,
    }
    return PromptStart(question=question, **given)


def answered(text: str = "Because.") -> PromptEnd:
    return PromptEnd(answer=text, state="grounded", citations=(), usage={}, timings={})


def exchange(history: History, question: str, answer: str, **values: object) -> PromptId:
    prompt_id = history.start(asked(question, **values), principal=LOCAL_OWNER)
    history.complete(prompt_id, answered(answer))
    return prompt_id


def rows(database: Database, table: type) -> int:
    with database.read() as connection:
        count: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return count


def said(history: History, prompt_id: str) -> list[tuple[str, str]]:
    found = history.messages(prompt_id, principal=LOCAL_OWNER)
    return [(message.role, message.content) for message in found]


def test_two_follow_ups_share_all_that_was_said_before_them(database: Database) -> None:
    history = History(database)
    first = exchange(history, "Who?", "Ada.")
    left = exchange(history, "When?", "In 1843.", parent_id=first)
    right = exchange(history, "Where?", "In London.", parent_id=first)
    before = [("system", "Be brief."), ("user", "Who?"), ("assistant", "Ada.")]
    assert said(history, left) == [*before, ("user", "When?"), ("assistant", "In 1843.")]
    assert said(history, right) == [*before, ("user", "Where?"), ("assistant", "In London.")]
    assert rows(database, MessageRow) == 7


def test_a_system_prompt_is_stored_once_for_all_conversations(database: Database) -> None:
    history = History(database)
    for number in range(5):
        exchange(history, f"Question {number}?", f"Answer {number}.")
    assert rows(database, MessageRow) == 1 + 5 * 2


def test_the_same_conversation_told_by_a_client_is_the_one_on_record(database: Database) -> None:
    history = History(database)
    first = exchange(history, "Who?", "Ada.")
    linked = exchange(history, "When?", "In 1843.", parent_id=first)
    told = (Message("user", "Who?"), Message("assistant", "Ada."))
    other = exchange(history, "When?", "In 1843.", earlier=told)
    shown = [history.show(key, principal=LOCAL_OWNER) for key in (linked, other)]
    assert shown[0].response_sha256 == shown[1].response_sha256 is not None
    assert rows(database, MessageRow) == 5


@pytest.mark.parametrize("other", ["Be kind.", ""])
def test_under_another_system_prompt_the_conversation_begins_with_that(
    database: Database, other: str
) -> None:
    history = History(database)
    first = exchange(history, "Who?", "Ada.")
    second = exchange(history, "When?", "In 1843.", parent_id=first, system=other)
    third = exchange(history, "Why?", "For a friend.", parent_id=second, system=other)
    begins = [("system", other)] if other else []
    assert said(history, third) == [
        *begins,
        ("user", "Who?"),
        ("assistant", "Ada."),
        ("user", "When?"),
        ("assistant", "In 1843."),
        ("user", "Why?"),
        ("assistant", "For a friend."),
    ]


def test_a_conversation_keeps_its_beginning_however_long_it_is(database: Database) -> None:
    history = History(database)
    last = exchange(history, "Question 0?", "Answer 0.")
    for number in range(1, 30):
        last = exchange(history, f"Question {number}?", f"Answer {number}.", parent_id=last)
    assert len(said(history, last)) == 1 + 30 * 2 == rows(database, MessageRow)


def test_what_never_was_answered_ends_with_its_question(database: Database) -> None:
    history = History(database)
    failed = history.start(asked("Who?"), principal=LOCAL_OWNER)
    history.fail(failed, error="no model")
    follows = exchange(history, "Well?", "Ada.", parent_id=failed)
    assert said(history, failed)[-1] == ("user", "Who?")
    assert said(history, follows)[1:] == [
        ("user", "Who?"),
        ("user", "Well?"),
        ("assistant", "Ada."),
    ]


def test_exchanges_of_before_there_were_messages_are_told_by_their_rows(database: Database) -> None:
    history = History(database)
    old = exchange(history, "Who?", "Ada.")
    with database.write() as connection:
        connection.execute(update(PromptRow).values(request_sha256=None, response_sha256=None))
    assert said(history, old) == [("user", "Who?"), ("assistant", "Ada.")]
    new = exchange(history, "When?", "In 1843.", parent_id=old)
    assert [content for _, content in said(history, new)] == [
        "Be brief.", "Who?", "Ada.", "When?", "In 1843."
    ]  # fmt: skip


def test_the_key_of_a_message_depends_on_all_before_it_and_on_who_says_it() -> None:
    hello = Message("user", "Hello")
    keys = {
        messages.message_sha256(None, hello),
        messages.message_sha256("0" * 64, hello),
        messages.message_sha256(None, Message("assistant", "Hello")),
        messages.message_sha256(None, Message("user", "Hello\n")),
    }
    assert len(keys) == 4


def test_many_that_say_the_same_at_once_store_it_once(database: Database) -> None:
    history = History(database)

    def talk(number: int) -> list[tuple[str, str]]:
        first = exchange(history, "Who?", "Ada.", user=f"user {number % 3}", session="s")
        second = exchange(history, "When?", "In 1843.", parent_id=first)
        return said(history, second)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(talk, range(24)))
    assert len({tuple(one) for one in told}) == 1
    assert (rows(database, MessageRow), rows(database, PromptRow)) == (5, 48)


def test_messages_of_others_look_like_none(database: Database) -> None:
    history = History(database)
    prompt_id = exchange(history, "Who?", "Ada.")
    with pytest.raises(NotFoundError, match="no prompt"):
        history.messages(prompt_id, principal=BERT)


def test_application_category_and_tags_are_on_record(database: Database) -> None:
    history = History(database)
    belongs = {"application": "desk", "category": "billing", "tags": ("b", "a", "b")}
    key = exchange(history, "Who?", "Ada.", **belongs)
    shown = history.show(key, principal=LOCAL_OWNER)
    assert (shown.application, shown.category, shown.tags) == ("desk", "billing", ("a", "b"))


def test_tags_come_and_go_and_saying_so_twice_is_fine(database: Database) -> None:
    key = exchange(History(database), "Who?", "Ada.", tags=("old", "kept"))
    tags = PromptTags(database)
    for _ in range(2):
        left = tags.change(key[:20], add=["urgent"], remove=["old"], principal=LOCAL_OWNER)
        assert left == ("kept", "urgent")
    tags.categorise(key, "billing", principal=LOCAL_OWNER)
    assert History(database).show(key, principal=LOCAL_OWNER).category == "billing"
    tags.categorise(key, None, principal=LOCAL_OWNER)
    assert History(database).show(key, principal=LOCAL_OWNER).category is None


def test_only_who_reads_an_exchange_tags_it(database: Database) -> None:
    key = exchange(History(database), "Who?", "Ada.")
    for prompt_id in (key, "0" * 24, "", "\0", "%"):
        with pytest.raises(NotFoundError):
            PromptTags(database).change(prompt_id, add=["mine"], principal=BERT)
        with pytest.raises(NotFoundError):
            PromptTags(database).categorise(prompt_id, "mine", principal=BERT)
    assert rows(database, PromptTagRow) == 0


def test_a_tag_that_cant_be_kept_changes_nothing(database: Database) -> None:
    key = exchange(History(database), "Who?", "Ada.", tags=("old",))
    change = PromptTags(database).change
    for tag in ("", " ", "a\0b", "\ud800", "line\nbreak", "x" * 201):
        with pytest.raises(InvalidRecordError, match="a tag"):
            change(key, add=["fine", tag], remove=["old"], principal=LOCAL_OWNER)
    assert History(database).show(key, principal=LOCAL_OWNER).tags == ("old",)


def test_more_tags_than_anyone_reads_are_refused(database: Database) -> None:
    many = [f"tag {number}" for number in range(MAX_TAGS)]
    key = exchange(History(database), "Who?", "Ada.", tags=tuple(many))
    with pytest.raises(InvalidRecordError, match="at most 50"):
        PromptTags(database).change(key, add=["one more"], principal=LOCAL_OWNER)
    swapped = PromptTags(database).change(
        key, add=["one more"], remove=[many[0]], principal=LOCAL_OWNER
    )
    assert len(swapped) == MAX_TAGS
    with pytest.raises(InvalidRecordError, match="51 tags"):
        History(database).start(asked(tags=(*many, "one more")), principal=LOCAL_OWNER)


def test_what_no_database_keeps_is_refused_by_name_and_nothing_is_half_written(
    database: Database,
) -> None:
    for text in UNSTORABLE:
        given: dict[str, object] = {
            "tags": ("fine", text),
            "earlier": (Message("user", text),),
            "sampling": {"stop": ["fine", {"deep": text}]},
            "circumstances": {text: 1},
        }
        for field in ("question", "standalone", "system", "rendered", "user", "session"):
            given[field] = text
        for field in ("application", "category", "idempotency_key"):
            given[field] = text
        for field, value in given.items():
            said = r"leave them out|use 1 to 200 printable characters"
            with pytest.raises(InvalidRecordError, match=said):
                History(database).start(replace(asked(), **{field: value}), principal=LOCAL_OWNER)
    assert [rows(database, table) for table in (PromptRow, MessageRow, PromptTagRow)] == [0, 0, 0]


def test_a_prompt_of_ten_megabytes_is_refused(database: Database) -> None:
    for field in ("question", "system"):
        with pytest.raises(InvalidRecordError, match="10,000,000 characters"):
            History(database).start(
                replace(asked(), **{field: "x" * 10_000_000}), principal=LOCAL_OWNER
            )
    assert rows(database, MessageRow) == 0


def test_a_parent_that_is_not_there_leaves_nothing_behind(database: Database) -> None:
    for parent in ("0" * 24, "", "\0", "\ud800", "%"):
        with pytest.raises(NotFoundError, match="no prompt"):
            History(database).start(asked(parent_id=PromptId(parent)), principal=LOCAL_OWNER)
    assert [rows(database, table) for table in (PromptRow, MessageRow)] == [0, 0]


def test_an_answer_that_cant_be_kept_leaves_the_exchange_open_to_be_failed(
    database: Database,
) -> None:
    history = History(database)
    for text in UNSTORABLE:
        key = history.start(asked(), principal=LOCAL_OWNER)
        with pytest.raises(InvalidRecordError, match="the answer"):
            history.complete(key, answered(text))
        history.fail(key, error=f"it said {text}")
        shown = history.show(key, principal=LOCAL_OWNER)
        assert (shown.status, shown.error) == ("failed", f"it said {text}".replace(
            "\0", "�").replace("\ud83d", "�"))  # fmt: skip


def test_a_key_stands_for_one_exchange_of_one_user(database: Database) -> None:
    history = History(database)
    first = history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    with pytest.raises(AlreadyAskedError, match="still being answered"):
        history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    exchange(history, "Why?", "Because.", idempotency_key="k", user="bert")
    exchange(history, "Why?", "Because.", idempotency_key="other")
    history.complete(first, answered())
    about = {"user": "anna", "collection": "default", "principal": LOCAL_OWNER}
    found = history.answered_under("k", question="Why?", **about)
    assert found is not None
    assert found.prompt_id == first
    assert history.answered_under("unused", question="Why?", **about) is None
    with pytest.raises(IdempotencyKeyError, match="another question"):
        history.answered_under("k", question="Why not?", **about)
    with pytest.raises(IdempotencyKeyError, match="another question"):
        history.start(asked("Why not?", idempotency_key="k"), principal=LOCAL_OWNER)
    with pytest.raises(NotFoundError):
        history.answered_under(
            "k", question="Why?", user="anna", collection="default", principal=BERT
        )


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_key_whose_first_try_came_to_nothing_is_tried_again(
    database: Database, status: str
) -> None:
    history = History(database)
    first = history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    history.fail(first, error="no model", status=status)
    again = exchange(history, "Why?", "Because.", idempotency_key="k")
    keys = [history.show(key, principal=LOCAL_OWNER).idempotency_key for key in (first, again)]
    assert keys == [None, "k"]


def test_what_a_crash_left_behind_holds_its_key_for_a_while_only(database: Database) -> None:
    history = History(database)
    lost = history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    with database.write() as connection:
        connection.execute(update(PromptRow).values(created_at=now() - timedelta(minutes=16)))
    again = history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    assert history.show(lost, principal=LOCAL_OWNER).status == "failed"
    with pytest.raises(InvalidRecordError, match="not open"):
        history.complete(lost, answered("Late."))
    history.complete(again, answered())


def test_of_many_with_one_key_at_once_one_is_on_record(database: Database) -> None:
    history = History(database)
    failed = history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
    history.fail(failed, error="no model")

    def start(_: int) -> PromptId | None:
        try:
            return history.start(asked(idempotency_key="k"), principal=LOCAL_OWNER)
        except AlreadyAskedError:
            return None

    with ThreadPoolExecutor(16) as pool:
        started = [key for key in pool.map(start, range(16)) if key is not None]
    assert len(started) == 1
    assert rows(database, PromptRow) == 2


def test_artifacts_stand_beside_their_exchange(database: Database, tmp_path: Path) -> None:
    key = exchange(History(database), "Who?", "Ada.")
    artifacts = PromptArtifacts(database)
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ada")
    artifacts.attach(key[:20], letter, role="attachment", principal=LOCAL_OWNER)
    artifacts.attach(key, b"\x00\xff", role="output", name="sound", principal=LOCAL_OWNER)
    artifacts.attach(key, b"changed", role="attachment", name="letter.txt", principal=LOCAL_OWNER)
    letter.unlink()
    shown = History(database).show(key, principal=LOCAL_OWNER).artifacts
    assert shown == artifacts.of(key, principal=LOCAL_OWNER)
    assert [(one.name, one.role, one.media_type, one.size_bytes) for one in shown] == [
        ("letter.txt", "attachment", "text/plain", 8),
        ("sound", "output", "application/octet-stream", 2),
        ("letter.txt", "attachment", "text/plain", 7),
    ]
    assert artifacts.read(key, "letter.txt", principal=LOCAL_OWNER) == b"changed"
    assert artifacts.read(key, "sound", principal=LOCAL_OWNER) == b"\x00\xff"
    for what in (key, "0" * 24):
        with pytest.raises(NotFoundError):
            artifacts.of(what, principal=BERT)
        with pytest.raises(NotFoundError):
            artifacts.read(what, "sound", principal=BERT)


def test_an_attachment_that_fails_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    key = exchange(History(database), "Who?", "Ada.")
    artifacts = PromptArtifacts(database)
    about = {"role": "attachment", "principal": LOCAL_OWNER}
    with pytest.raises(NotFoundError, match="no prompt"):
        artifacts.attach("0" * 24, b"lost", **about)
    with pytest.raises(NotFoundError, match="no prompt"):
        artifacts.attach(key, b"lost", role="output", principal=BERT)
    with pytest.raises(NotFoundError, match="can't be read"):
        artifacts.attach(key, tmp_path / "nope", **about)
    with pytest.raises(NotFoundError, match="can't be read"):
        artifacts.attach(key, tmp_path, **about)
    for name in ("x" * 121, "a\0b", "\ud800"):
        with pytest.raises(InvalidRecordError, match="artifact"):
            artifacts.attach(key, b"lost", name=name, **about)
    with pytest.raises(InvalidRecordError, match="role"):
        artifacts.attach(key, b"lost", role="gift", principal=LOCAL_OWNER)
    assert rows(database, ArtifactRow) == 0


def test_a_large_file_stays_where_it_is_and_is_checked(database: Database, tmp_path: Path) -> None:
    key = exchange(History(database), "Who?", "Ada.")
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(LARGEST_BLOB + 1))
    artifacts = PromptArtifacts(database)
    kept = artifacts.attach(key, large, role="output", principal=LOCAL_OWNER)
    assert (kept.storage, kept.location) == ("file", str(large))
    large.write_bytes(b"something else")
    with pytest.raises(SealError, match="was changed"):
        artifacts.read(key, "large.bin", principal=LOCAL_OWNER)
