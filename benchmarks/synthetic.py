"""How near synthetic tables come to real ones, beside the plain way: columns shuffled apart.

    python benchmarks/synthetic.py adult.csv --target income --learn 20000
    python benchmarks/synthetic.py housing.csv --target median_house_value --learn 14000

The records are divided at random into those that are learnt from and the rest. Shapes and trends
are held against the records that were learnt, detection and efficacy against the rest; the row
`real` has other real records in the place of synthetic ones.
"""

import time
from pathlib import Path

import click
import numpy as np

from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import detection, efficacy, quality
from rag_pipeline.synthetic.tables.autoregressive import Autoregressive, Settings
from rag_pipeline.synthetic.tables.files import read_table
from rag_pipeline.synthetic.tables.table import Table


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--target", required=True, help="The column that is told from the others.")
@click.option("--learn", required=True, type=int, help="How many records are learnt from.")
@click.option("--steps", default=Settings().steps, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(path: Path, target: str, learn: int, steps: int, seed: int) -> None:
    table = read_table(path)
    order = np.random.default_rng(seed).permutation(len(table))
    learnt, rest = table.rows(order[:learn]), table.rows(order[learn:])
    print(f"{'':<16}{'fit CPU s':>10}{'quality':>9}{'shape err %':>13}{'trend err %':>13}"
          f"{'detection':>11}{'efficacy':>10}")  # fmt: skip
    report("real", learnt, rest, rest, target, 0.0, efficacy_of=learnt)
    report("shuffled", learnt, rest, shuffled(learnt, seed), target, 0.0)
    began = time.process_time()
    model, _ = Autoregressive.fit(learnt, Settings(steps=steps), Fitting(seed=seed))
    took = time.process_time() - began
    report("autoregressive", learnt, rest, model.sample(learn, seed=seed), target, took)


def shuffled(table: Table, seed: int) -> Table:
    """Each column as it is, and nothing between them."""
    chance = np.random.default_rng(seed)
    columns = {name: chance.permutation(values) for name, values in table.values.items()}
    return Table(schema=table.schema, values=columns)


def report(
    name: str,
    learnt: Table,
    rest: Table,
    other: Table,
    target: str,
    took: float,
    efficacy_of: Table | None = None,
) -> None:
    found = quality(learnt, other)
    fresh = learnt if other is rest else rest
    told = efficacy(other if efficacy_of is None else efficacy_of, rest, target)
    print(
        f"{name:<16}{took:>10.0f}{found.score:>9.4f}{100 * (1 - found.shape):>13.2f}"
        f"{100 * (1 - found.trend):>13.2f}{detection(fresh, other):>11.3f}{told:>10.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
