"""Stored records in the order of their series: all of one together, by time, for a file.

Records come as they were loaded, those of one series far apart, perhaps. They lie in a file
meanwhile, so that what is in memory of each are a few numbers.
"""

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import IO

import numpy as np

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.synthetic.kinds import Places
from rag_pipeline.synthetic.tables.table import Schema
from rag_pipeline.synthetic.tables.values import number_of
from storage.record_sets.values import StoredRecord

_IN_MEMORY = 8 << 20


def by_series(records: Iterable[StoredRecord], schema: Schema) -> Iterator[StoredRecord]:
    """The same records: series as they first appear, and within each by time, or as they came.

    Raises `DatasetError` where the disk takes no more.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as lines:
        try:
            starts = _written(records, schema, lines)
        except OSError as error:
            raise DatasetError(
                f"no room to bring series together: {error.strerror}; free some in"
                f" {tempfile.gettempdir()}, or name another folder by TMPDIR"
            ) from error
        for start in starts.tolist():
            lines.seek(start)
            yield StoredRecord(**json.loads(lines.readline()))


def _written(records: Iterable[StoredRecord], schema: Schema, lines: IO[bytes]) -> Places:
    """Where in the file the records begin, in their new order."""
    key, time = schema.with_role("series"), schema.with_role("time")
    kind = None if time is None else schema.column(time).kind
    numbers: dict[object, int] = {}
    of, times, starts = array("q"), array("d"), array("q")
    for record in records:
        name = record.values[str(key)]
        of.append(numbers.setdefault((record.origin, name), len(numbers)))
        found = 0.0 if kind is None else number_of(record.values[str(time)], kind)
        times.append(0.0 if found is None else found)
        starts.append(lines.tell())
        lines.write(json.dumps(asdict(record)).encode() + b"\n")
    return np.array(starts, np.int64)[np.lexsort((np.array(times), np.array(of)))]
