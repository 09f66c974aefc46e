"""`/api/synthetic`: sets of records, what is drawn and what is forgotten; an owner's to do.

A sampling runs in a thread, with a turn of its own among requests: others are answered meanwhile.
What is too long for one request is drawn by `rag synth sample`.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rag_pipeline.service.api.asking import MAX_TEXT, Body, Key, Name, Text, Turn, Writer
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.synthetic.as_json import batch_json, set_json

MAX_DRAWN = 10_000
"""Records a request, or series."""
MAX_OF_SERIES = 100_000
"""Records that the series of a request may be expected to have."""
MAX_SEED = 2**31 - 1
MAX_SLICES = 20

router = APIRouter(prefix="/api/synthetic", tags=["synthetic"], dependencies=[Turn])
SetName = Annotated[Name, Path()]


class FittedModel(BaseModel):
    """A version that learnt a set."""

    reference: str
    state: Literal["kept", "active", "retired"]
    method: str | None
    dataset: str | None
    seed: int | None
    storage: str
    weights_sha256: str
    nearness: dict[str, float]
    """How near what it draws comes to records held out, by what was measured."""
    created_at: datetime


class RecordSetSummary(BaseModel):
    """A set of records, and what learnt it."""

    name: str
    real: int
    synthetic: int
    holdout: float
    columns: list[dict[str, Any]]
    series: str | None
    """The column that says which series a record belongs to, where records make series."""
    time: str | None
    """The column that orders them, if one does."""
    constraints: list[Any]
    created_at: datetime
    models: list[FittedModel]


class RecordSets(BaseModel):
    """All sets, by name."""

    items: list[RecordSetSummary]


class RecordBatch(BaseModel):
    """A load of real records, or a sampling."""

    batch_id: int
    set: str
    origin: Literal["real", "synthetic"]
    records: int
    sha256: str
    source: str | None
    dataset: str | None
    generator_id: str | None
    model: str | None
    weights_sha256: str | None
    source_sha256: str | None
    seed: int | None
    conditions: dict[str, Any]
    sampling: dict[str, Any]
    verdict: Literal["passed", "unreviewed", "refused"] | None
    thresholds: dict[str, Any]
    code_version: str
    created_by: str
    created_at: datetime


class WholeRecordSet(RecordSetSummary):
    """A set with all that came into it, the refused among it."""

    batches: list[RecordBatch]


class JudgedBatch(RecordBatch):
    """A batch with its report, which is empty for real records."""

    report: dict[str, Any]


class Sampling(Body):
    """What is drawn."""

    count: Annotated[int, Field(ge=1, le=MAX_DRAWN)] = 1_000
    """Of records; of whole series, where these are what the set has."""
    model: Name | None = None
    """NAME@N; else the active version of the set's name, or its newest."""
    where: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)] | None = None
    """Such as `age >= 65 and trade = 'clerk'`."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    thresholds: dict[Name, float] = Field(default_factory=dict)
    """Limits of the gate in place of the defaults."""
    target: Name | None = None
    slices: Annotated[tuple[Name, ...], Field(max_length=MAX_SLICES)] = ()
    allow_unreviewed: bool = False
    dry_run: bool = False
    """Judge, and store nothing."""
    with_records: bool = False
    """Whether the answer has the records, if they pass."""


class Drawn(BaseModel):
    """What became of it. Without `accepted` nothing is stored but the report."""

    set: str
    model: str
    batch_id: int | None
    stored: int
    accepted: bool
    report: dict[str, Any]
    records: list[dict[str, Any]] | None


class Forgetting(Body):
    """Which real records go."""

    where: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]
    """Such as `id = 'p17'`."""
    with_models: bool = False
    """Remove the versions that learnt from them too, and all that these drew."""
    dry_run: bool = False
    """Say what would go, and change nothing."""


class ForgottenRecords(BaseModel):
    """Real records that are gone, or would be, and what was made of them."""

    records: int
    batches: list[int]
    """That they stood in; what is left of these has other numbers."""
    datasets: list[str]
    models: list[str]
    """Versions that learnt from them."""
    drawn_batches: list[int]
    """That those drew."""
    certificate: dict[str, Any] | None
    """None: nothing was changed."""


@router.get("/sets", response_model=RecordSets)
def list_sets(rag: Rag) -> JSONResponse:
    """List the sets of records."""
    synthetic = rag.synthetic
    items = [set_json(one, synthetic.models(one.name)) for one in synthetic.sets()]
    return JSONResponse({"items": items})


@router.get("/sets/{name}", response_model=WholeRecordSet)
def show_set(name: SetName, rag: Rag) -> JSONResponse:
    """Show a set: its columns, its models, and what came into it."""
    synthetic = rag.synthetic
    batches = [batch_json(one) for one in synthetic.batches(name)]
    shown = set_json(synthetic.get(name), synthetic.models(name))
    return JSONResponse({**shown, "batches": batches})


@router.get("/sets/{name}/batches/{batch_id}", response_model=JudgedBatch)
def show_batch(name: SetName, batch_id: Key, rag: Rag) -> JSONResponse:
    """Show where a batch is from, and how it was judged."""
    batch = rag.synthetic.batch(name, batch_id)
    return JSONResponse({**batch_json(batch), "report": dict(batch.report)})


@router.post("/sets/{name}/samples", response_model=Drawn)
def draw(name: SetName, asked: Sampling, rag: Writer) -> JSONResponse:
    """Draw records, judge them, and store them if they pass the gate."""
    # Imported here: it brings torch along, which nobody else waits for.
    from rag_pipeline.synthetic.sampling_report import SampleWanted

    given = asked.model_dump(exclude={"with_records"})
    wanted = SampleWanted(name=name, most_records=MAX_OF_SERIES, **given)
    sampled = rag.synthetic.sample(wanted)
    with_records = asked.with_records and sampled.is_accepted
    return JSONResponse(
        {**sampled.as_json(), "records": sampled.drawn.records() if with_records else None}
    )


@router.post("/sets/{name}/erasures", response_model=ForgottenRecords)
def forget(name: SetName, asked: Forgetting, rag: Writer) -> JSONResponse:
    """Take real records out of a set for good, and prove it."""
    found = rag.forget.preview_records(name, asked.where)
    done = None
    if not asked.dry_run:
        done = rag.forget.records(name, asked.where, with_models=asked.with_models)
    return JSONResponse({**found.as_json(), "certificate": done and done.certificate})
