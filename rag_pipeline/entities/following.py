"""Looks through what is new: keeps the mentions in step with texts and answers.

A text is looked through once, in the order in which texts came, and each step commits how far it
got: what is broken off goes on from there, and another recogniser begins anew.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rag_pipeline.entities.recognise import EntityRecogniser
from storage.entities import EntityWriter, Standing


@dataclass(slots=True, kw_only=True)
class UpdateReport:
    """What one update looked through and found."""

    collection: str
    generation: int = 0
    """Up to which all texts were looked through."""
    documents: int = 0
    mentions: int = 0
    answers: int = 0
    dropped: int = 0
    """Entities that nothing mentions any more."""

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface; keys may be added, none is changed or removed."""
        return asdict(self)


def is_behind(writer: EntityWriter, recogniser: EntityRecogniser) -> bool:
    """Whether there is anything that `recogniser` has not seen in this version."""
    standing = writer.standing()
    return (
        standing is None
        or (standing.recogniser, standing.generation) != (recogniser.version, writer.committed())
        or bool(writer.answers_after(standing))
    )


def catch_up(writer: EntityWriter, recogniser: EntityRecogniser) -> UpdateReport:
    """Look through the texts and answers that `recogniser` has not seen in this version.

    Raises `LeaseLostError` where another writer took over; what was stored before that is kept.
    """
    report = UpdateReport(collection=writer.collection.name, generation=writer.committed())
    standing = writer.standing()
    if standing is None or standing.recogniser != recogniser.version:
        standing = Standing(recogniser=recogniser.version)
    reached = _texts(writer, recogniser, standing, report)
    reached = _answers(writer, recogniser, reached, report)
    if reached.generation != report.generation or reached != standing:
        writer.stand_at(replace(reached, generation=report.generation))
    return report


def _texts(
    writer: EntityWriter, recogniser: EntityRecogniser, standing: Standing, report: UpdateReport
) -> Standing:
    while texts := writer.texts_after(standing.document_id):
        found = {t.document_id: recogniser.recognise(t.text, t.language) for t in texts}
        standing = replace(standing, document_id=texts[-1].document_id)
        writer.store(found, standing)
        report.documents += len(texts)
        report.mentions += sum(map(len, found.values()))
    return standing


def _answers(
    writer: EntityWriter, recogniser: EntityRecogniser, standing: Standing, report: UpdateReport
) -> Standing:
    while answers := writer.answers_after(standing):
        found = {a.prompt_id: recogniser.recognise(a.text) for a in answers}
        standing = replace(standing, answers_until=answers[-1].asked_at)
        writer.store_answers(found, standing)
        report.answers += len(answers)
        report.mentions += sum(map(len, found.values()))
    return standing
