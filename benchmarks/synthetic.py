"""How near synthetic tables come to real ones: all our methods; SDV's and TabDDPM where they are.

    python benchmarks/synthetic.py adult.csv --target income --learn 20000 --sdv VENV/bin/python
    python benchmarks/synthetic.py telco.csv --target Churn --learn 5000 --seeds 3 --plot t.svg
    python benchmarks/synthetic.py adult.csv --target income --learn 20000 --method \\
        table/autoregressive --budget 60 --where native-country=Thailand --sdv VENV/bin/python

The records are divided at random, by the seed, into those that are learnt from and the rest; each
method gets as many CPU seconds of one thread. Shapes and trends are held against the records that
were learnt, detection and efficacy against the rest; the row `real` has other real records in the
place of synthetic ones, `shuffled` each column as it is and nothing between them. Medians of the
seeds. VENV has `pip install sdv` (BSL 1.1: for this benchmark alone); for `--tabddpm`, what
`rivals/tabddpm.py` names.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.privacy import privacy
from rag_pipeline.synthetic.judging.tables import detection, efficacy, quality
from rag_pipeline.synthetic.methods import method, methods
from rag_pipeline.synthetic.saved import save_generator
from rag_pipeline.synthetic.tables.files import read_table
from rag_pipeline.synthetic.tables.table import Table

SDV = ("copula", "ctgan", "tvae")
TABDDPM = "tabddpm"
RIVALS = Path(__file__).parent / "rivals"
WANTED = 1_000
"""Records that are drawn under a condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured of one method, with one seed or as medians."""

    fit_s: float
    rows_per_s: float
    quality: float
    shape_error: float
    """Percent, as that of trends."""
    trend_error: float
    detection: float
    efficacy: float
    closer: float
    membership: float
    mib: float
    where_s: float
    """CPU seconds for 1,000 records under the condition; NaN without one."""


COLUMNS: Mapping[str, tuple[str, str]] = {
    "fit_s": ("fit CPU s", "10.0f"),
    "rows_per_s": ("rows/CPU s", "11.0f"),
    "quality": ("quality", "8.4f"),
    "shape_error": ("shape err %", "12.2f"),
    "trend_error": ("trend err %", "12.2f"),
    "detection": ("detection", "10.3f"),
    "efficacy": ("efficacy", "9.4f"),
    "closer": ("closer", "7.3f"),
    "membership": ("attack", "7.3f"),
    "mib": ("MiB", "6.2f"),
    "where_s": ("1,000 s", "8.2f"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """One division of a table."""

    learnt: Table
    rest: Table
    target: str
    seed: int

    def row(
        self,
        synthetic: Table,
        known: Mapping[str, float] | None = None,
        *,
        taught_by: Table | None = None,
    ) -> Row:
        """The measures; `taught_by` is learnt from instead, where efficacy is measured."""
        found = quality(self.learnt, synthetic)
        fresh = self.learnt if synthetic is self.rest else self.rest
        near = privacy(self.learnt, self.rest, synthetic, seed=self.seed).measures
        return Row(
            quality=found.score,
            shape_error=100 * (1 - found.shape),
            trend_error=100 * (1 - found.related_trend),
            detection=detection(fresh, synthetic, seed=self.seed),
            efficacy=efficacy(taught_by or synthetic, self.rest, self.target, seed=self.seed),
            closer=near["closer_to_train"].value,
            membership=near["membership"].value,
            **{"fit_s": 0, "rows_per_s": 0, "mib": 0, "where_s": float("nan"), **(known or {})},
        )


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--target", required=True, help="The column that is told from the others.")
@click.option("--learn", required=True, type=int, help="How many records are learnt from.")
@click.option("--budget", default=120.0, show_default=True, help="CPU seconds of each method.")
@click.option("--method", "chosen", multiple=True, help="Of ours; all for tables without it.")
@click.option("--seeds", default=1, show_default=True)
@click.option("--sdv", type=click.Path(path_type=Path), help="Python of its environment.")
@click.option("--sdv-method", multiple=True, type=click.Choice(SDV), default=SDV)
@click.option("--tabddpm", type=click.Path(path_type=Path), help="Python of its environment.")
@click.option("--where", help="COLUMN=NAME: measure drawing 1,000 such records, too.")
@click.option("--json", "to_json", type=click.Path(path_type=Path), help="Write all figures.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a picture, PNG or SVG.")
def main(
    path: Path,
    target: str,
    learn: int,
    budget: float,
    chosen: Sequence[str],
    seeds: int,
    sdv: Path | None,
    sdv_method: Sequence[str],
    tabddpm: Path | None,
    where: str | None,
    to_json: Path | None,
    plot: Path | None,
) -> None:
    table = without_keys(read_table(path))
    measured: dict[str, list[Row]] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(table))
        sides = Sides(
            learnt=table.rows(order[:learn]), rest=table.rows(order[learn:]), target=target,
            seed=seed,
        )  # fmt: skip
        keep = measured.setdefault
        keep("real", []).append(sides.row(sides.rest, taught_by=sides.learnt))
        keep("shuffled", []).append(sides.row(shuffled(sides.learnt, seed)))
        # Without constraints, `constrained` is the generator that it stands around.
        for name in chosen or sorted({*methods("table")} - {"table/constrained"}):
            keep(name, []).append(ours(sides, name, budget, where))
            told(name, seed, measured[name][-1])
        rivals = {} if sdv is None else dict.fromkeys(sdv_method, sdv)
        if tabddpm is not None:
            rivals[TABDDPM] = tabddpm
        for name, python in rivals.items():
            keep(name, []).append(theirs(sides, name, budget, where, python))
            told(name, seed, measured[name][-1])
    rows = {name: medians(found) for name, found in measured.items()}
    report(rows)
    if to_json is not None:
        every = {name: [asdict(row) for row in found] for name, found in measured.items()}
        to_json.write_text(json.dumps(every, indent=1), "utf-8")
    if plot is not None:
        draw(plot, rows, path.stem)


def told(name: str, seed: int, row: Row) -> None:
    """At once: what comes after may break off."""
    print(f"  seed {seed}: {line(name, row)}", file=sys.stderr, flush=True)


def line(name: str, row: Row) -> str:
    figures = (f"{getattr(row, column):{form}}" for column, (_, form) in COLUMNS.items())
    return f"{name:<22}{''.join(figures)}"


def without_keys(table: Table) -> Table:
    """The columns that any side can learn."""
    columns = tuple(column for column in table.schema.columns if column.is_learnt)
    values = {column.name: table.values[column.name] for column in columns}
    return Table(schema=type(table.schema)(columns=columns), values=values)


def shuffled(table: Table, seed: int) -> Table:
    """Each column as it is, and nothing between them."""
    chance = np.random.default_rng(seed)
    columns = {name: chance.permutation(values) for name, values in table.values.items()}
    return Table(schema=table.schema, values=columns)


def ours(sides: Sides, name: str, budget_s: float, where: str | None) -> Row:
    began = time.process_time()
    generator: Any = method(name)
    model, _ = generator.fit(sides.learnt, None, Fitting(seed=sides.seed, budget_s=budget_s))
    fit_s = time.process_time() - began
    began = time.process_time()
    drawn = model.sample(len(sides.learnt), seed=sides.seed)
    sample_s = time.process_time() - began
    known = {"fit_s": fit_s, "rows_per_s": len(drawn) / sample_s, "mib": mib(model)}
    if where is not None:
        known["where_s"] = where_s(model, where)
    return sides.row(drawn, known)


def where_s(model: Any, where: str) -> float:
    """CPU seconds to draw records of that name, which all of them have."""
    column, _, value = where.partition("=")
    began = time.process_time()
    drawn = model.sample_conditionally(WANTED, {column: frozenset({value})})
    took = time.process_time() - began
    if set(drawn.values[column]) != {value}:
        raise click.ClickException(f"not all that is drawn has {where}")
    return took


def mib(model: Any) -> float:
    """Of both files of a model."""
    with tempfile.TemporaryDirectory() as folder:
        save_generator(model, Path(folder))
        return sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20


def theirs(sides: Sides, name: str, budget_s: float, where: str | None, python: Path) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        real, drawn = Path(folder) / "real.csv", Path(folder) / "drawn.csv"
        write_csv(sides.learnt, real)
        script = RIVALS / ("tabddpm.py" if name == TABDDPM else "sdv_tables.py")
        condition = ["--where", *where.split("=", 1)] if where and name != TABDDPM else []
        command = [
            str(python), str(script), name, "--learn", str(real), "--write", str(drawn),
            "--kinds", json.dumps(kinds(sides.learnt)), "--count", str(len(sides.learnt)),
            "--budget", str(budget_s), "--seed", str(sides.seed), *condition,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{name} failed:\n{done.stderr}")
        took = json.loads(done.stdout.splitlines()[-1])
        synthetic = read_table(drawn, sides.learnt.schema)
    known = {"fit_s": took["fit_s"], "rows_per_s": len(synthetic) / took["sample_s"]}
    if took.get("rejection_s") is not None:
        known["where_s"] = took["rejection_s"]
    return sides.row(synthetic, known)


def kinds(table: Table) -> dict[str, str]:
    """What SDV calls the kinds of columns."""
    called = {"number": "numerical", "integer": "numerical", "datetime": "datetime"}
    return {one.name: called.get(one.kind, "categorical") for one in table.schema.columns}


def write_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in table.schema.columns])
        writer.writeheader()
        writer.writerows(table.records())


def medians(rows: Sequence[Row]) -> Row:
    found = [asdict(row) for row in rows]
    return Row(**{name: median(one[name] for one in found) for name in found[0]})


def report(rows: Mapping[str, Row]) -> None:
    """Each method, and how ours stand beside the best of SDV's."""
    print(
        f"{'':<22}" + "".join(f"{title:>{form.split('.')[0]}}" for title, form in COLUMNS.values())
    )
    for name, row in rows.items():
        print(line(name, row))
    peers = [rows[name] for name in SDV if name in rows]
    if not peers:
        return
    real = rows["real"].efficacy
    shape, trend, gap = (
        min(one.shape_error for one in peers),
        min(one.trend_error for one in peers),
        min(real - one.efficacy for one in peers),
    )
    seconds = [one.where_s for one in peers if one.where_s == one.where_s]
    for name, row in rows.items():
        if "/" in name:
            drawn = f", {min(seconds) / row.where_s:.0f} times as fast there" if seconds else ""
            print(f"{name} by the best of SDV's: shape error {row.shape_error / shape:.3f}, trend"
                  f" error {row.trend_error / trend:.3f}, gap to real"
                  f" {(real - row.efficacy) / gap:.2f}{drawn}")  # fmt: skip


def draw(path: Path, rows: Mapping[str, Row], title: str) -> None:
    """Errors of shapes and trends, side by side."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = [*rows]
    with mpl.rc_context({"svg.hashsalt": "rag", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 0.4 * len(names) + 1.2), layout="constrained")
        axes = figure.subplots()
        at = np.arange(len(names))
        axes.barh(at - 0.2, [rows[n].shape_error for n in names], 0.4, color="#1b6ca8",
                  label="shapes")  # fmt: skip
        axes.barh(at + 0.2, [rows[n].trend_error for n in names], 0.4, color="#b5442f",
                  label="trends")  # fmt: skip
        axes.set_yticks(at, names)
        axes.invert_yaxis()
        axes.set_xlabel("error, percent")
        axes.set_title(title)
        axes.legend()
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})


if __name__ == "__main__":
    main()
