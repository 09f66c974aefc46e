"""`/api/ingest-runs`: what ingestion did, when, and how it ended."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag_pipeline.service.api.asking import NameQuery, Text, Turn
from rag_pipeline.service.api.paging import CursorText, cursor_at, time_place
from rag_pipeline.service.dependencies import Rag

router = APIRouter(prefix="/api", tags=["documents"])


class Run(BaseModel):
    """One run; `report` is that of `rag ingest --json`, or has an `error`."""

    run_id: str
    collection: str
    source_name: str | None
    status: Literal["running", "completed", "failed", "died"]
    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    report: dict[str, Any]


class Runs(BaseModel):
    """A page of runs, newest first."""

    items: list[Run]
    next_cursor: str | None


@router.get("/ingest-runs", response_model=Runs, dependencies=[Turn])
def list_runs(
    rag: Rag,
    source: NameQuery = None,
    collection: NameQuery = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: CursorText = None,
) -> JSONResponse:
    """List what was ingested, newest first."""
    asked = {"list": "runs", "of": [source, collection]}
    before = None if cursor is None else time_place(cursor, asked)
    found = rag.browse.runs(limit=limit, source=source, collection=collection, before=before)
    place = None
    if len(found) == limit:
        place = cursor_at(asked, [found[-1].started_at.isoformat(), found[-1].run_id])
    return JSONResponse({"items": [run.as_json() for run in found], "next_cursor": place})


@router.get("/ingest-runs/{run_id}", response_model=Run, dependencies=[Turn])
def show_run(run_id: Text, rag: Rag) -> JSONResponse:
    """Show one run; a unique beginning of its id is enough."""
    return JSONResponse(rag.browse.run(run_id).as_json())
