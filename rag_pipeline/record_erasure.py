"""`rag.forget.records`: the steps that take records out of a set, and who has learnt them.

What goes is known by salted hashes of what it says. A batch that another erasure has written anew
meanwhile, or a file that was loaded once more, hides nothing from them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipeline.composition import Composition
from rag_pipeline.erasure_steps import NEEDLES, PROOF, Job, Step
from storage.erasing.records import needles_of_records
from storage.errors import NotFoundError
from storage.record_sets.values import RecordBatch
from storage.versions.values import ModelVersion

_NOT_REACHED = (
    "exports of the records, and files that they were loaded from",
    "versions that were linked or published elsewhere, and what was copied out of drawn batches",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """What real records that would go have become."""

    records: int
    batches: tuple[int, ...]
    """That they stand in."""
    datasets: tuple[str, ...]
    """Versions that held them."""
    models: tuple[str, ...]
    """Versions that learnt from one of these, and whose weights are kept."""
    drawn: tuple[int, ...]
    """Batches that those drew."""

    def as_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "batches": [*self.batches],
            "datasets": [*self.datasets],
            "models": [*self.models],
            "drawn_batches": [*self.drawn],
        }


def concerned(parts: Composition, name: str, where: str) -> Concerned:
    """Raises `FilterError`, `NotFoundError`, `InvalidRecordError`, as `RecordSets.matching`."""
    found = parts.record_sets.matching(name, where)
    models = _learners(parts, found.datasets)
    return Concerned(
        records=found.records,
        batches=tuple(found.batches),
        datasets=found.datasets,
        models=tuple(f"{model.name}@{model.version}" for model in models),
        drawn=tuple(batch.batch_id for batch in _drawn(parts, name, models)),
    )


def _learners(parts: Composition, datasets: Collection[str]) -> list[ModelVersion]:
    """Versions that would be others without them: the same came of no data set that lacks them."""
    versions = parts.versions
    found = []
    for model in versions.models():
        learnt = {name for role, name in model.datasets if role == "trained_on"}
        if learnt and learnt <= {*datasets} and versions.folders.are_kept(model):
            found.append(model)
    return found


def _drawn(
    parts: Composition, name: str, models: Collection[ModelVersion]
) -> Iterator[RecordBatch]:
    """Nothing where the set was deleted."""
    keys = {model.model_id for model in models}
    if any(found.name == name for found in parts.record_sets.sets()):
        yield from (batch for batch in parts.record_sets.batches(name) if batch.model_id in keys)


def _deletable(job: Job) -> list[ModelVersion]:
    """Versions that go with the records, if that is wanted."""
    learners = _learners(job.parts, job.plan["datasets"])
    return [one for one in learners if job.plan["with_models"] and one.kind == "synthetic"]


def _survey_learners(job: Job) -> Mapping[str, Any]:
    models, deletable = _learners(job.parts, job.plan["datasets"]), _deletable(job)
    stay = [model for model in models if model not in deletable]
    drawn = _drawn(job.parts, job.plan["set"], stay)
    said: dict[str, list[Any]] = {
        "datasets": [*job.plan["datasets"]],
        "models_deleted": [f"{model.name}@{model.version}" for model in deletable],
        "models_trained_on_it": [f"{model.name}@{model.version}" for model in stay],
        "batches_drawn_by_them": [batch.batch_id for batch in drawn],
    }
    return {name: some for name, some in said.items() if some}


def _models(job: Job) -> Mapping[str, Any]:
    """Remove versions that learnt from it, with all that they drew."""
    models, sets = _deletable(job), job.parts.record_sets
    drawn = [*_drawn(job.parts, job.plan["set"], models)]
    records = sum(sets.delete_batch(batch.batch_id) for batch in drawn)
    for model in models:
        job.parts.versions.discard(
            model.name, model.version, reason="forgotten", user=job.erasure.requested_by
        )
    return {"models": len(models), "batches": len(drawn), "records_drawn": records}


def _fits(job: Job) -> Mapping[str, Any]:
    """Remove how far a broken-off fit has come. Raises `TrainingError` where one is under way."""
    from rag_pipeline.synthetic.fitting import CHECKPOINT
    from rag_pipeline.training.workplace import alone

    home, name = job.parts.settings.home, job.plan["set"]
    known = job.parts.versions.models(kind="synthetic")
    removed = 0
    for one in {name, *(model.name for model in known if model.parameters.get("set") == name)}:
        if (home / "tuning" / one).is_dir():
            with alone(home, one) as folder:
                removed += (folder / CHECKPOINT).exists()
                (folder / CHECKPOINT).unlink(missing_ok=True)
    return {"checkpoints": removed}


def _survey(job: Job) -> Mapping[str, Any]:
    """Learn what to look for at the end, as long as it is there."""
    plan, parts = job.plan, job.parts
    needles = needles_of_records(
        parts.database,
        plan["set"],
        job.erasure.salt,
        frozenset(plan["marks"]),
        parts.versions.folders.root,
    )
    job.replan(needles=needles.sampled(NEEDLES).as_json())
    return {}


def _records(job: Job) -> Mapping[str, Any]:
    try:
        taken = job.parts.record_sets.take_out(
            job.plan["set"], job.plan["marks"], salt=job.erasure.salt
        )
    except NotFoundError:  # all of the set went meanwhile
        return {}
    # Broken off before it was noted, they are gone by now.
    is_repeated = "records" in job.erasure.done
    records = taken.records if is_repeated else job.plan["records"]
    return {"records": records, "records_there_twice": taken.repeated}


def _said_to_be_out_of_reach(job: Job) -> Mapping[str, Any]:
    compact = dict(PROOF)["compact"](job)
    return {"not_reached": [*compact["not_reached"], *_NOT_REACHED]}


RECORD_STEPS: tuple[tuple[str, Step], ...] = (
    ("learners", _survey_learners),
    ("models", _models),
    ("fits", _fits),
    ("survey", _survey),
    ("records", _records),
    *((n, _said_to_be_out_of_reach if n == "compact" else step) for n, step in PROOF),
)
"""In their order, as those of any erasure."""
