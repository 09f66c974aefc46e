"""Our measures of shapes and trends beside those of SDMetrics, on the same records.

SDMetrics is under the Business Source License and no dependency: give it an environment of its own.

    python -m venv sdmetrics-env
    sdmetrics-env/bin/pip install sdmetrics "SQLAlchemy>=2.1"
    PYTHONPATH=. sdmetrics-env/bin/python benchmarks/synthetic_measures.py adult.csv

One half of the records stands for the real ones. Held against it are the other half, its columns
shuffled apart, and the first half with each tenth number replaced: each as the quality report of
SDMetrics sees it, and as we do.
"""

import argparse
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sdmetrics.reports.single_table import QualityReport

from rag_pipeline.synthetic.judging.copies import compared
from rag_pipeline.synthetic.judging.distances import is_ordered
from rag_pipeline.synthetic.judging.tables import Quality, quality
from rag_pipeline.synthetic.tables.files import read_table
from rag_pipeline.synthetic.tables.table import Table


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("paths", type=Path, nargs="+", help="Tables.")
    asked.add_argument("--seed", type=int, default=0)
    found = asked.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print(f"{'':<26}{'shapes':>8}{'theirs':>8}{'trends':>8}{'theirs':>8}"
          f"{'most apart':>12}{'CPU s':>8}{'theirs':>8}")  # fmt: skip
    for path in found.paths:
        table = read_table(path)
        chance = np.random.default_rng(found.seed)
        order = chance.permutation(len(table))
        real, rest = table.rows(order[::2]), table.rows(order[1::2])
        others = {"rest": rest, "shuffled": shuffled(rest, chance), "noisy": noisy(real, chance)}
        for name, other in others.items():
            report(f"{path.stem} {name}", real, other)


def shuffled(table: Table, chance: np.random.Generator) -> Table:
    """Each column as it is, and nothing between them."""
    columns = {name: chance.permutation(values) for name, values in table.values.items()}
    return Table(schema=table.schema, values=columns)


def noisy(table: Table, chance: np.random.Generator) -> Table:
    """Each tenth number drawn anew between the ends of its column."""
    columns = dict(table.values)
    for name in compared(table):
        if is_ordered(table, name):
            values = columns[name].copy()
            at = chance.random(values.size) < 0.1
            values[at] = chance.uniform(np.nanmin(values), np.nanmax(values), int(at.sum()))
            columns[name] = values
    return Table(schema=table.schema, values=columns)


def report(name: str, real: Table, other: Table) -> None:
    began = time.process_time()
    ours = quality(real, other)
    between = time.process_time()
    theirs = QualityReport()
    theirs.generate(frame(real), frame(other), metadata(real), verbose=False)
    ended = time.process_time()
    shapes = theirs.get_details("Column Shapes").set_index("Column")["Score"]
    trends = theirs.get_details("Column Pair Trends").set_index(["Column 1", "Column 2"])["Score"]
    print(
        f"{name:<26}{ours.shape:>8.4f}{shapes.mean():>8.4f}"
        f"{ours.related_trend:>8.4f}{trends.mean():>8.4f}"
        f"{most_apart(ours, shapes, trends):>12.1e}{between - began:>8.1f}{ended - between:>8.1f}",
        flush=True,
    )


def most_apart(ours: Quality, shapes: "pd.Series[float]", trends: "pd.Series[float]") -> float:
    """The largest difference of any one column or pair."""
    pairs = {tuple(sorted(pair)): score for pair, score in trends.dropna().items()}
    unlike = {tuple(sorted(pair)) for pair in ours.related} ^ pairs.keys()
    if unlike:
        print(f"  related for one of us alone: {sorted(unlike)}")
    return max(
        *(abs(ours.shapes[name] - score) for name, score in shapes.dropna().items()),
        *(
            abs(score - pairs[tuple(sorted(pair))])
            for pair, score in ours.trends.items()
            if tuple(sorted(pair)) in pairs
        ),
    )


def frame(table: Table) -> pd.DataFrame:
    """As SDMetrics wants it."""
    return pd.DataFrame({name: table.values[name] for name in compared(table)})


def metadata(table: Table) -> dict[str, object]:
    kinds = {True: "numerical", False: "categorical"}
    columns = {name: {"sdtype": kinds[is_ordered(table, name)]} for name in compared(table)}
    return {"columns": columns}


if __name__ == "__main__":
    main()
