"""All routes that show and change what is stored."""

from fastapi import APIRouter

from rag_pipeline.service import (
    files,
    rerank,
    vector_store_files,
    vector_store_search,
    vector_stores,
)
from rag_pipeline.service.api import (
    collections,
    documents,
    feedback,
    prompts,
    runs,
    search,
    statistics,
    synthetic,
    versions,
)

ROUTERS: tuple[APIRouter, ...] = (
    search.router,
    collections.router,
    documents.router,
    runs.router,
    prompts.router,
    feedback.router,
    statistics.router,
    versions.router,
    synthetic.router,
    files.router,
    vector_stores.router,
    vector_store_files.router,
    vector_store_search.router,
    rerank.router,
)
