"""Prunes exchanges by age, and takes words out of those that stay."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from rag_pipeline.composition import Composition
from rag_pipeline.history.matching import Matching, filter_of
from rag_pipeline.history.redaction import redact_patterns
from rag_pipeline.history.settings import EVERY_OTHER, RetentionPolicy, age
from storage.bulk import batches
from storage.clock import now
from storage.erasing.choosing import Chosen, condition_of, count_of, ids_of
from storage.erasing.compaction import compact
from storage.erasing.editing import Edit, Edited, rewritten, whole
from storage.erasing.ledger import Ledger
from storage.erasing.leftovers import remove_leftovers
from storage.erasing.marks import REDACTED
from storage.erasing.messages import hold_messages
from storage.erasing.prompts import remove_prompts
from storage.erasing.redaction import EveryText, redact
from storage.errors import ErasureError, InvalidRecordError
from storage.records import Principal

_PROMPTS_A_STEP = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a rule removed, or would remove."""

    application: str | None
    """None: the rule is about exchanges of any application."""
    prompts: int
    rows: Mapping[str, int] = field(default_factory=dict)
    """By table; empty where nothing was to be changed."""

    def as_json(self) -> dict[str, Any]:
        return {"application": self.application, "prompts": self.prompts, "rows": dict(self.rows)}


@dataclass(frozen=True, slots=True)
class Retention:
    """Rules about exchanges, for an owner. Raises `ErasureError` for anybody else."""

    parts: Composition
    principal: Principal

    def prune(
        self,
        older_than: str,
        *,
        application: str | None = None,
        keep_rated: bool = False,
        dry_run: bool = False,
        is_compacted: bool = False,
        where: str | None = None,
        **matching: Any,
    ) -> Pruned:
        """Remove exchanges that are older, and fulfil all else that is said of them.

        `older_than` is an age like 90d. Raises `InvalidRecordError`, `FilterError`.
        """
        chosen = Chosen(
            principal=self.principal,
            before=now() - age(older_than),
            application=application,
            keep_rated=keep_rated,
            where=filter_of(_matching(where, matching)),
        )
        pruned = self._pruned(chosen, application, dry_run=dry_run)
        if is_compacted and not dry_run:
            compact(self.parts.database)
        return pruned

    def apply_policies(self, *, dry_run: bool = False) -> list[Pruned]:
        """Prune as the settings say, `[retention.APPLICATION]` by `[retention.APPLICATION]`."""
        policies = self.parts.settings.retention
        return [
            self._pruned(self._chosen_by(name, policy, frozenset(policies)), name, dry_run=dry_run)
            for name, policy in policies.items()
            if not policy.keep
        ]

    def redact(
        self,
        prompt_id: str | None = None,
        *,
        patterns: Sequence[str] = (),
        everything: bool = False,
        dry_run: bool = False,
        where: str | None = None,
        **matching: Any,
    ) -> list[str]:
        """Take personal data out of an exchange, or of all that match; those that this changed,
        or that it would look through.

        What fulfils one of `patterns`, or `everything`, goes instead of what has the form of
        personal data. It can't be undone. Raises `NotFoundError`, `InvalidRecordError`.
        """
        self._check_owner()
        edit = _edit(patterns, everything=everything)
        wanted = self._wanted(prompt_id, _matching(where, matching))
        if dry_run:
            return wanted
        changed: list[str] = []
        for batch in batches(wanted, _PROMPTS_A_STEP):
            with self.parts.database.write() as connection:
                hold_messages(connection)
                changed += redact(connection, batch, EveryText(edit))
        if changed:
            with self.parts.database.write() as connection:
                remove_leftovers(connection)
            compact(self.parts.database)
            self._note("redact", {"prompts_redacted": len(changed)})
        return changed

    def _wanted(self, prompt_id: str | None, matching: Matching) -> list[str]:
        where = filter_of(matching)
        if (prompt_id is None) == (where is None):
            raise InvalidRecordError("say which exchanges: give an id or a filter, and not both")
        if prompt_id is not None:
            found = self.parts.history.show(prompt_id, principal=self.principal)
            return [found.prompt_id]
        return [*ids_of(self.parts.database, Chosen(principal=self.principal, where=where))]

    def _chosen_by(self, name: str, policy: RetentionPolicy, named: frozenset[str]) -> Chosen:
        is_other = name == EVERY_OTHER
        return Chosen(
            principal=self.principal,
            before=now() - age(policy.older_than or ""),
            application=None if is_other else name,
            other_than=named - {EVERY_OTHER} if is_other else frozenset(),
            keep_rated=policy.keep_rated,
        )

    def _pruned(self, chosen: Chosen, application: str | None, *, dry_run: bool) -> Pruned:
        self._check_owner()
        database = self.parts.database
        count = count_of(database, chosen)
        if dry_run or not count:
            return Pruned(application=application, prompts=count)
        with database.read() as connection:
            condition = condition_of(connection, chosen)
        rows = remove_prompts(database, lambda: condition, is_disowned=False)
        with database.write() as connection:
            rows |= remove_leftovers(connection)
        self._note("prune", rows)
        return Pruned(application=application, prompts=rows.get("prompts", 0), rows=rows)

    def _note(self, kind: Any, counts: Mapping[str, int]) -> None:
        """What was done, and how much of it: no word of what it was done to."""
        ledger = Ledger(self.parts.database)
        erasure = ledger.begin(kind, "", requested_by=self.principal.name, plan={})
        ledger.complete(erasure, {"counts": dict(counts)})

    def _check_owner(self) -> None:
        if not self.principal.is_owner:
            raise ErasureError("only an owner may erase what is on record; ask one to")


def _matching(where: str | None, given: Mapping[str, Any]) -> Matching:
    unknown = sorted(given.keys() - Matching.__annotations__.keys())
    if unknown:
        known = ", ".join(Matching.__annotations__)
        raise InvalidRecordError(f"exchanges can't be chosen by {unknown[0]!r}; use one of {known}")
    return cast(Matching, {"where": where, **given})  # its keys were checked


def _edit(patterns: Sequence[str], *, everything: bool) -> Edit:
    if everything and patterns:
        raise InvalidRecordError("everything goes, or what fulfils a pattern: give one of them")
    if everything:
        return lambda text: whole(text, REDACTED)
    if not patterns:
        return lambda text: rewritten(text, redact_patterns(text))
    return _by_patterns([_compiled(pattern) for pattern in patterns])


def _by_patterns(patterns: Sequence[re.Pattern[str]]) -> Callable[[str], Edited | None]:
    def edit(text: str) -> Edited | None:
        now = text
        for pattern in patterns:
            now = pattern.sub(lambda found: REDACTED if found[0] else "", now)
        return rewritten(text, now)

    return edit


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidRecordError(f"{pattern[:60]!r} is no regular expression: {error}") from error
