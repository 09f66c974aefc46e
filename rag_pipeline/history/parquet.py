"""Training examples as Parquet: the columns of each form, also where a file has no rows."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from rag_pipeline.datasets.files import arrow
from rag_pipeline.history.formats import TrainingFormat

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_GROUP = 5_000


def write_parquet(
    files: Mapping[str, BinaryIO],
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    form: TrainingFormat,
) -> None:
    """Write each row into the file of its split.

    Raises `DatasetError` if the extra `parquet` is not installed.
    """
    pa = arrow()
    schema = _schema(pa, form)
    waiting: dict[str, list[Mapping[str, Any]]] = {split: [] for split in files}
    with ExitStack() as opened:
        writers = {
            split: opened.enter_context(pa.parquet.ParquetWriter(file, schema, compression="zstd"))
            for split, file in files.items()
        }
        for split, row in rows:
            waiting[split].append(row)
            if len(waiting[split]) == _ROWS_A_GROUP:
                writers[split].write_table(pa.Table.from_pylist(waiting[split], schema))
                waiting[split] = []
        for split, writer in writers.items():
            writer.write_table(pa.Table.from_pylist(waiting[split], schema))


def _schema(pa: Any, form: TrainingFormat) -> "pa.Schema":
    text, texts = pa.string(), pa.list_(pa.string())

    def turns(*names: str) -> Any:
        return pa.list_(pa.struct([(name, text) for name in names]))

    columns: Mapping[TrainingFormat, Mapping[str, Any]] = {
        "openai": {"messages": turns("role", "content")},
        "sharegpt": {"id": text, "system": text, "conversations": turns("from", "value")},
        "alpaca": {"instruction": text, "input": text, "output": text},
        "pairs": {
            "prompt_id": text,
            "question": text,
            "passages": texts,
            "answer": text,
            "score": pa.float64(),
            "is_corrected": pa.bool_(),
        },
        "dpo": {"prompt": text, "chosen": text, "rejected": text},
        "triples": {"anchor": text, "positive": text, "negative": text},
    }
    return pa.schema(list(columns[form].items()))
