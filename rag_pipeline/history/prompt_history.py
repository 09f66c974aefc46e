"""`rag.history`: what was asked and answered, for whoever asks about it."""

import getpass
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION
from storage.errors import NotFoundError
from storage.records import (
    LOCAL_OWNER,
    AnswerState,
    Message,
    Principal,
    PromptArtifact,
    PromptId,
    PromptRecord,
    Score,
)

if TYPE_CHECKING:
    from rag_pipeline.history.export import TrainingData, TrainingReport
    from rag_pipeline.history.history_import import ImportFormat, ImportReport, Progress
    from rag_pipeline.history.looking_up import (
        FoundPrompt,
        HistoryPage,
        LookingUp,
        Order,
        Paged,
    )
    from rag_pipeline.history.matching import Filters, Matching
    from rag_pipeline.history.pairing import Pair
    from rag_pipeline.history.records_export import RecordsReport
    from rag_pipeline.history.redaction import Redactor
    from rag_pipeline.history.replay import Replayed, Replaying
    from rag_pipeline.history.scoring import Scored
    from rag_pipeline.history.sessions import ConversationPage
    from rag_pipeline.history.trends import Trends
    from rag_pipeline.retention import Retention
    from storage.prompts.listing import Chain, ListedPrompt
    from storage.prompts.statistics import By, Statistics

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class PromptHistory:
    """What was asked and answered, as far as one principal may know."""

    parts: Composition
    principal: Principal

    def list(self, *, limit: int = 20, **wanted: "Unpack[Matching]") -> Sequence[PromptRecord]:
        """The newest exchanges that are wanted, newest first, without their evidence.

        Raises `FilterError`, `InvalidRecordError`.
        """
        return [one.prompt for one in self._looking_up.page(limit=limit, **wanted).items]

    def page(self, *, limit: int = 20, **wanted: "Unpack[Paged]") -> "HistoryPage":
        """The same with their ratings, and the `cursor` of the next page.

        Raises `QueryError` for a cursor of another list.
        """
        return self._looking_up.page(limit=limit, **wanted)

    def all(self, **wanted: "Unpack[Matching]") -> "Iterator[ListedPrompt]":
        """All exchanges that are wanted, newest first, a page in memory at a time."""
        return self._looking_up.all(**wanted)

    def count(self, **wanted: "Unpack[Matching]") -> int:
        """How many exchanges are wanted."""
        return self._looking_up.count(**wanted)

    def search(
        self,
        words: str,
        *,
        limit: int = 20,
        order: "Order" = "rank",
        **wanted: "Unpack[Filters]",
    ) -> "Sequence[FoundPrompt]":
        """Exchanges with all the `words` in question or answer: those that fit best first, or
        the newest. `"a phrase"` and `begin*` mean what they do elsewhere.

        Raises `QueryError` where there is no word to look for.
        """
        return self._looking_up.search(words, limit=limit, order=order, **wanted)

    def near(
        self, text: str, *, limit: int = 20, **wanted: "Unpack[Matching]"
    ) -> "Sequence[FoundPrompt]":
        """Exchanges whose questions are nearest in meaning to `text`, the nearest first."""
        return self._looking_up.near(text, limit=limit, **wanted)

    @property
    def _looking_up(self) -> "LookingUp":
        from rag_pipeline.history.looking_up import LookingUp

        return LookingUp(self.parts, self.principal)

    def show(self, prompt_id: str) -> PromptRecord:
        """One exchange, whole; a unique beginning of its id is enough.

        Raises `NotFoundError`.
        """
        return self.parts.history.show(prompt_id, principal=self.principal)

    @property
    def retention(self) -> "Retention":
        """How long exchanges are kept, and what is taken out of them."""
        from rag_pipeline.retention import Retention

        return Retention(self.parts, self.principal)

    def rate(
        self,
        prompt_id: str,
        value: float | None = None,
        *,
        metric: str = "rating",
        user: str | None = None,
        label: str | None = None,
        comment: str | None = None,
        correction: str | None = None,
    ) -> PromptId:
        """Say how good an answer is, from 0 (wrong) to 1 (right), and what it should have been;
        or put a label on it. A unique beginning of its id is enough; gives the whole id.

        Raises `NotFoundError`, `InvalidRecordError`.
        """
        score = Score(
            value=value,
            metric=metric,
            user=user or default_user(self.principal),
            label=label,
            comment=comment,
            correction=correction,
        )
        return self.parts.history.rate(prompt_id, score, principal=self.principal)

    def score(self, *, limit: int | None = None, again: bool = False) -> "Scored":
        """Let the automatic judges see the answers that wait for them, or `limit` of them.

        With `again`, also every answer that one of them has not scored in its version. Raises
        `NotFoundError` for whoever is not the owner.
        """
        from rag_pipeline.history.judges import judges
        from rag_pipeline.history.scoring import score_waiting

        if not self.principal.is_owner:
            raise NotFoundError("there is no queue of answers to judge; only the owner has one")
        return score_waiting(self.parts.database, judges(), limit=limit, again=again)

    def stats(
        self, *, by: "By" = "day", limit: int = 100, **wanted: "Unpack[Matching]"
    ) -> "Statistics":
        """How much was asked, how it came out, how long it took and what was said of it.

        Of groups that are no times, the `limit` of which most was asked.

        Raises `FilterError`, `InvalidRecordError`.
        """
        from rag_pipeline.history.counting import counted_as
        from storage.prompts.statistics import statistics

        return statistics(
            self.parts.database, counted_as(self.principal, by, limit=limit, **wanted)
        )

    def recount(self) -> None:
        """Make the counts that statistics are read from anew. Raises `NotFoundError` for whoever
        is not the owner."""
        from storage.prompts.rollups import recount

        if not self.principal.is_owner:
            raise NotFoundError("there are no counts to make anew; only the owner has them")
        with self.parts.database.write() as connection:
            recount(connection)

    def trends(self, *, days: int = 30, **wanted: "Unpack[Matching]") -> "Trends":
        """The last `days`, or those up to `until`, against as many before them.

        Raises `FilterError`, `InvalidRecordError`.
        """
        from rag_pipeline.history.trends import trends

        return trends(self.parts.database, self.principal, days=days, **wanted)

    def sessions(
        self, *, limit: int = 20, user: str | None = None, cursor: str | None = None
    ) -> "ConversationPage":
        """Conversations, those that began last first, and the `cursor` of the next page.

        Raises `InvalidRecordError`, and `QueryError` for a cursor of another list.
        """
        from rag_pipeline.history.sessions import conversation_page

        return conversation_page(
            self.parts.database, self.principal, limit=limit, user=user, cursor=cursor
        )

    def messages(self, prompt_id: str) -> "Sequence[Message]":
        """All that was said up to an exchange, its question and its answer, from the first on.

        A unique beginning of its id is enough. Raises `NotFoundError`.
        """
        return self.parts.history.messages(prompt_id, principal=self.principal)

    def tag(
        self, prompt_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> "Sequence[str]":
        """Put tags on an exchange and take them off; all that it has then, in order.

        A unique beginning of its id is enough. Raises `NotFoundError`, `InvalidRecordError`.
        """
        from storage.prompts.tags import PromptTags

        return PromptTags(self.parts.database).change(
            prompt_id, add=add, remove=remove, principal=self.principal
        )

    def categorise(self, prompt_id: str, category: str | None) -> None:
        """Put an exchange into a category, or None: into none.

        A unique beginning of its id is enough. Raises `NotFoundError`, `InvalidRecordError`.
        """
        from storage.prompts.tags import PromptTags

        PromptTags(self.parts.database).categorise(prompt_id, category, principal=self.principal)

    def attach(
        self,
        prompt_id: str,
        what: PathLike | bytes,
        *,
        role: "Literal['attachment', 'output']" = "attachment",
        name: str | None = None,
        media_type: str | None = None,
    ) -> PromptArtifact:
        """Put a file's or these bytes beside an exchange: what came with its question, or was
        made for its answer.

        The database keeps them; a file of more than 16 MiB stays where it is, under its hash.
        Raises `NotFoundError`, `InvalidRecordError`.
        """
        from storage.prompts.artifacts import PromptArtifacts

        return PromptArtifacts(self.parts.database).attach(
            prompt_id,
            what if isinstance(what, bytes) else Path(what),
            role=role,
            name=name,
            media_type=media_type,
            principal=self.principal,
        )

    def artifacts(self, prompt_id: str) -> "Sequence[PromptArtifact]":
        """What is kept beside an exchange, in the order in which it came.

        Raises `NotFoundError`.
        """
        from storage.prompts.artifacts import PromptArtifacts

        return PromptArtifacts(self.parts.database).of(prompt_id, principal=self.principal)

    def artifact(self, prompt_id: str, name: str) -> bytes:
        """The checked bytes of the newest of that name.

        Raises `NotFoundError`, and `SealError` if they are not what was put there.
        """
        from storage.prompts.artifacts import PromptArtifacts

        return PromptArtifacts(self.parts.database).read(prompt_id, name, principal=self.principal)

    def export(
        self,
        path: PathLike,
        data: "TrainingData | None" = None,
        *,
        user: str | None = None,
        session: str | None = None,
        state: AnswerState | None = None,
        words: str = "",
        since: str | None = None,
        until: str | None = None,
        overwrite: bool = False,
        register: str | None = None,
    ) -> "TrainingReport":
        """Write exchanges as training data to `path`, a .jsonl or .parquet file.

        `since` and `until` are dates or times in ISO 8601. With `register` the files are a version
        of the data set of that name. Raises `DatasetError`, `InvalidRecordError`.
        """
        from rag_pipeline.history.export import TrainingData, export_training_data
        from rag_pipeline.versions.dataset_registry import DatasetRegistry
        from storage.prompts.listing import PromptsWanted, period

        registry = DatasetRegistry(self.parts, self.principal)
        if register is not None:
            registry.check_name(register)

        begins, ends = period(since, until)
        wanted = PromptsWanted(
            principal=self.principal,
            user=user,
            session=session,
            state=state,
            status="completed",
            words=words,
            since=begins,
            before=ends,
        )
        report = export_training_data(
            self.parts.database, wanted, Path(path), data or TrainingData(), overwrite=overwrite
        )
        if register is not None:
            filters = {"user": user, "session": session, "state": state, "words": words}
            registry.add_history(register, report, {**filters, "since": since, "until": until})
        return report

    def chain(self, prompt_id: str) -> "Chain":
        """What led to an exchange and what followed. Raises `NotFoundError`."""
        return self.parts.prompts.chain(prompt_id, principal=self.principal)

    def diff(self, before: str, after: str) -> "Pair":
        """What is different about two exchanges. Raises `NotFoundError`."""
        from rag_pipeline.history.pairing import pair

        return pair(self.parts, before, after, principal=self.principal)

    def matching(
        self, *, limit: int | None = None, **filters: "Unpack[Matching]"
    ) -> Sequence[PromptId]:
        """Ids of the exchanges that fit, oldest first; the newest `limit` of them. Without a status
        those that are completed.

        Raises `InvalidRecordError`.
        """
        from rag_pipeline.history.matching import filter_of
        from storage.prompts.export import prompt_ids
        from storage.prompts.listing import PromptsWanted

        wanted = PromptsWanted(
            principal=self.principal,
            status=None if filters.get("status") else "completed",
            where=filter_of(filters),
        )
        return prompt_ids(self.parts.database, wanted, newest=limit)

    def export_records(
        self,
        path: PathLike,
        *,
        redactor: "Redactor | None" = None,
        overwrite: bool = False,
        **filters: "Unpack[Matching]",
    ) -> "RecordsReport":
        """Write exchanges to `path`, a .jsonl file, with nothing left out but attachments.

        Raises `DatasetError`, `FilterError`, `InvalidRecordError`.
        """
        from rag_pipeline.history.matching import filter_of
        from rag_pipeline.history.records_export import export_records
        from storage.prompts.listing import PromptsWanted

        wanted = PromptsWanted(principal=self.principal, where=filter_of(filters))
        return export_records(
            self.parts.database, wanted, Path(path), redactor=redactor, overwrite=overwrite
        )

    def import_file(
        self,
        path: PathLike,
        *,
        form: "ImportFormat | None" = None,
        user: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        application: str = "import",
        strict: bool = False,
        on_progress: "Progress | None" = None,
    ) -> "ImportReport":
        """Take exchanges in from a file: an export of records, conversations as OpenAI or
        ShareGPT have them, or the log of the program `llm`; each once.

        `user`, `collection` and `application` are of exchanges of which the file says nothing of
        the kind. Raises `HistoryError`, also for whoever is no owner.
        """
        from rag_pipeline.history.errors import HistoryError
        from rag_pipeline.history.history_import import ImportWanted, import_history
        from rag_pipeline.history.import_forms import Belonging

        if not self.principal.is_owner:
            raise HistoryError("only the owner of a history takes exchanges in: ask them to do it")
        belonging = Belonging(
            user=user or default_user(self.principal),
            collection=collection,
            application=application,
        )
        wanted = ImportWanted(belonging=belonging, form=form, strict=strict)
        return import_history(self.parts.database, Path(path), wanted, on_progress)

    def replay(
        self, prompt_ids: "Iterable[str]", how: "Replaying | None" = None
    ) -> "Iterator[Replayed]":
        """Ask again what was asked before, one after the other, and say what is different.

        Unique beginnings of ids are enough. What goes wrong with one is its result. Raises
        `NotFoundError` for an exchange that is missing, before any is asked.
        """
        from rag_pipeline.history.replay import Replaying, replay

        keys = [self.show(one).prompt_id for one in prompt_ids]
        return replay(self.parts, keys, how or Replaying(), principal=self.principal)


def default_user(principal: Principal) -> str:
    """The principal's name; for the local owner the name of the account."""
    if principal != LOCAL_OWNER:
        return principal.name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return principal.name
