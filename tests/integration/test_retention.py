"""What is old is pruned, what is personal is taken out, and all that refers to it agrees."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import SettingsError
from rag_pipeline.history.settings import age
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.settings import load_settings
from storage.clock import now
from storage.errors import ErasureError, FilterError, InvalidRecordError, NotFoundError
from storage.models.prompts import PromptRow
from storage.prompts.rollups import differences
from storage.records import Principal

TEXT = "The ferry leaves at noon for the islands. Write to ferry@harbour.example for a seat."
MAIL = "walburga.q@private.example"


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "home", database=database_url) as pipeline:
        pipeline.ingest_records([{"_id": "ferry", "text": TEXT}], source="shelf")
        yield pipeline


@pytest.fixture
def local(tmp_path: Path) -> Iterator[RagPipeline]:
    """The same in a file of the home, for what is alike on both databases."""
    with word_pipeline(tmp_path / "home") as pipeline:
        pipeline.ingest_records([{"_id": "ferry", "text": TEXT}], source="shelf")
        yield pipeline


def asked(rag: RagPipeline, question: str, *, days_ago: float = 0, **asking: object) -> str:
    prompt_id = rag.ask(question, extractive=True, **asking).prompt_id  # type: ignore[arg-type]
    if days_ago:
        at = now() - timedelta(days=days_ago)
        of = update(PromptRow).where(PromptRow.prompt_id == prompt_id)
        with parts_of(rag).database.write() as connection:
            connection.execute(of.values(created_at=at))
    return prompt_id


def all_ids(rag: RagPipeline) -> set[str]:
    return {prompt.prompt_id for prompt in rag.history.list()}


def said_in(rag: RagPipeline, prompt_id: str) -> list[str]:
    history = parts_of(rag).history
    return [said.content for said in history.messages(prompt_id, principal=rag.principal)]


def count_anew(rag: RagPipeline) -> None:
    """The tests move exchanges to other days behind the back of the statistics."""
    from storage.prompts.rollups import recount

    with parts_of(rag).database.write() as connection:
        recount(connection)


def test_what_is_older_goes_and_what_followed_from_it_stays_readable(rag: RagPipeline) -> None:
    old = asked(rag, "When does the ferry leave?", days_ago=100)
    new = asked(rag, "And from where does it?", parent_id=old)
    count_anew(rag)
    preview = rag.history.retention.prune("90d", dry_run=True)
    assert (preview.prompts, all_ids(rag)) == (1, {old, new})
    assert rag.history.retention.prune("90d").prompts == 1
    assert all_ids(rag) == {new}
    assert rag.history.show(new).parent_id is None
    assert said_in(rag, new)[0] == "When does the ferry leave?"
    with parts_of(rag).database.read() as connection:
        assert differences(connection) == []
    assert rag.history.retention.prune("90d").prompts == 0


def test_what_nobody_refers_to_any_more_goes_with_it(local: RagPipeline) -> None:
    first = asked(local, "When does the ferry leave?", days_ago=100)
    asked(local, "Is it far to the islands?", days_ago=100, parent_id=first)
    rows = local.history.retention.prune("90d").rows
    assert (rows["prompts"], rows["messages"]) == (2, 4)


def test_rated_exchanges_are_kept_if_asked_for(local: RagPipeline) -> None:
    plain, rated = (asked(local, f"Question {n}?", days_ago=100) for n in (1, 2))
    local.history.rate(rated, 1, user="ann")
    local.history.retention.prune("90d", keep_rated=True)
    assert all_ids(local) == {rated}
    assert plain not in all_ids(local)
    local.history.retention.prune("90d")
    assert all_ids(local) == set()


def test_a_filter_and_an_application_narrow_what_goes(local: RagPipeline) -> None:
    ann, bob = (asked(local, "When?", user=user, days_ago=9) for user in ("ann", "bob"))
    local.history.retention.prune("1d", where='user = "ann"')
    assert all_ids(local) == {bob}
    local.history.retention.prune("1d", application="chat")
    assert all_ids(local) == {bob}
    assert ann != bob
    with pytest.raises(FilterError):
        local.history.retention.prune("1d", where='colour = "red"')


def test_policies_of_the_settings_say_it_for_each_application(
    tmp_path: Path, database_url: str
) -> None:
    policies = {
        "chat": {"older_than": "30d"},
        "legal": {"keep": True},
        "*": {"older_than": "1y", "keep_rated": True},
    }
    with word_pipeline(tmp_path / "home", database=database_url, retention=policies) as rag:
        rag.ingest_records([{"_id": "ferry", "text": TEXT}], source="shelf")
        ages = {"chat": 40, "legal": 4000, "other": 40, None: 400}
        ids = {name: asked(rag, f"From {name}?", days_ago=days) for name, days in ages.items()}
        for name, prompt_id in ids.items():
            of = update(PromptRow).where(PromptRow.prompt_id == prompt_id)
            with parts_of(rag).database.write() as connection:
                connection.execute(of.values(application=name))
        pruned = rag.history.retention.apply_policies()
        assert {one.application: one.prompts for one in pruned} == {"chat": 1, "*": 1}
        assert all_ids(rag) == {ids["legal"], ids["other"]}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"older_than": "90 bananas"}, "is no age"),
        ({"older_than": "0d"}, "is no age"),
        ({"older_than": "90d", "keep": True}, "not both"),
        ({"keep_rated": True}, "either older_than"),
        ({"keep": True, "keep_rated": True}, "says nothing"),
        ({"older_then": "90d"}, "retention"),
    ],
)
def test_a_policy_that_says_nothing_clear_is_refused(
    tmp_path: Path, policy: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(home=tmp_path, retention={"chat": policy})


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5d", "90", "99999y", "٣d", "1d\0"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRecordError, match="is no age"):
        age(text)


def test_only_an_owner_may_prune_or_redact(local: RagPipeline) -> None:
    mine = asked(local, "When?", user="bob", days_ago=9)
    other = local.acting_for(Principal(name="bob")).history.retention
    with pytest.raises(ErasureError, match="only an owner"):
        other.prune("1d")
    with pytest.raises(ErasureError, match="only an owner"):
        other.redact(mine, everything=True)
    assert mine in all_ids(local)


def test_personal_data_is_taken_out_wherever_it_stands(rag: RagPipeline) -> None:
    first = asked(rag, f"When does the ferry leave? I am {MAIL}.", user="ann")
    later = asked(rag, "And when is it back?", user="ann", parent_id=first)
    rag.history.rate(first, 1, user="ann", comment=f"write to {MAIL}")
    before = rag.history.show(first)
    assert rag.history.retention.redact(first) == [first]
    after = rag.history.show(first)
    assert after.question == "When does the ferry leave? I am [EMAIL]."
    assert after.redacted_at is not None
    assert after.scores[0].comment == "write to [EMAIL]"
    assert MAIL not in " ".join(said_in(rag, later))
    assert said_in(rag, later)[0] == after.question
    for old, new in zip(before.citations, after.citations, strict=True):
        assert (after.answer or "")[new.answer_start : new.answer_end] == new.quote
        assert (old.chunk_id, old.start) == (new.chunk_id, new.start)
    assert rag.history.list(words="walburga") == []
    assert rag.history.retention.redact(first) == []


def test_citations_still_point_at_their_quotes(local: RagPipeline) -> None:
    prompt = asked(local, "Where do I write to for a seat on the ferry?")
    assert "ferry@harbour.example" in (local.history.show(prompt).answer or "")
    local.history.retention.redact(prompt)
    shown = local.history.show(prompt)
    assert "[EMAIL]" in (shown.answer or "")
    for citation in shown.citations:
        spoken = (shown.answer or "")[citation.answer_start : citation.answer_end]
        assert spoken == citation.quote


def test_everything_can_go_and_the_exchange_stays(local: RagPipeline) -> None:
    prompt = asked(local, "When does Walburga's ferry leave?")
    local.history.retention.redact(prompt, everything=True)
    shown = local.history.show(prompt)
    assert (shown.question, shown.answer) == ("[redacted]", "[redacted]")
    assert all(citation.quote == "[redacted]" for citation in shown.citations)
    assert said_in(local, prompt) == ["[redacted]", "[redacted]"]


def test_a_pattern_takes_out_what_it_fits(local: RagPipeline) -> None:
    prompt = asked(local, "Is Project Zebra on the ferry, or Project Yak?", user="ann")
    untouched = asked(local, "Is Project Zebra on the ferry, really?", user="bob")
    local.history.retention.redact(where='user = "ann"', patterns=[r"Project \w+"])
    question = "Is [redacted] on the ferry, or [redacted]?"
    assert local.history.show(prompt).question == question
    assert "Zebra" in local.history.show(untouched).question


def test_a_redaction_that_says_nothing_clear_is_refused(local: RagPipeline) -> None:
    prompt = asked(local, "When?")
    retention = local.history.retention
    for refused in (
        lambda: retention.redact(),
        lambda: retention.redact(prompt, where='user = "ann"'),
        lambda: retention.redact(prompt, patterns=["("]),
        lambda: retention.redact(prompt, patterns=["x"], everything=True),
        lambda: retention.redact(colour="red"),
    ):
        with pytest.raises(InvalidRecordError):
            refused()
    with pytest.raises(NotFoundError):
        retention.redact("no-such-prompt", everything=True)
    assert local.history.show(prompt).redacted_at is None


def test_what_was_done_is_on_record_without_its_content(local: RagPipeline) -> None:
    asked(local, "Where does Walburga live?", days_ago=100)
    local.history.retention.prune("90d")
    redacted = asked(local, f"I am {MAIL}")
    local.history.retention.redact(redacted)
    noted = local.forget.erasures()
    assert [one.kind for one in noted] == ["prune", "redact"]
    assert all(one.completed_at for one in noted)
    assert "Walburga" not in str(noted) + MAIL.replace(MAIL, "")
    assert MAIL not in str(noted)
