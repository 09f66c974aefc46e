"""Our hybrid search over a home that `ours.py` filled."""

from functools import partial

from asking import Found, arguments, report

from rag_pipeline.pipeline import RagPipeline


def main() -> None:
    given = arguments().parse_args()
    with RagPipeline.open(given.home) as rag:
        report(lambda limit: partial(search, rag, limit), given)


def search(rag: RagPipeline, limit: int, query: str) -> Found:
    hits = rag.search(query, limit=limit).hits
    return [(hit.chunk.sources[0].external_id, hit.score) for hit in hits]


if __name__ == "__main__":
    main()
