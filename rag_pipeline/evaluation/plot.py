"""A picture of an evaluation: its figures with their intervals, and what became of each query."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
_INCHES = (11.0, 4.6)
_DOTS_AN_INCH = 150
_NOW, _THEN, _LOST = "#1b6ca8", "#b8b8b8", "#b5442f"
_LIGHT = "#dddddd"


def check_plot(path: Path) -> None:
    """Raise `EvaluationError` for a file that no plot can be written to, before any work."""
    if path.suffix.lower() not in SUFFIXES:
        raise EvaluationError(
            f"a plot can't be written to {path.name!r}: end its name in {' or '.join(SUFFIXES)}"
        )
    try:
        import matplotlib  # noqa: F401  # asked for before the evaluation, not after
    except ImportError as error:
        raise EvaluationError(
            "a plot needs matplotlib: pip install 'rag-pipeline-service[plot]'"
        ) from error


def plot(report: Report, path: Path) -> None:
    """Write the picture to `path`, PNG or SVG by its suffix. Raises `EvaluationError`."""
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same evaluation gives the same file.
    with mpl.rc_context({"svg.hashsalt": "rag", "svg.fonttype": "none"}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.set_axisbelow(True)
        right.set_axisbelow(True)
        _draw_figures(left, report)
        _draw_queries(right, report)
        figure.suptitle(_title(report))
        about: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(path, dpi=_DOTS_AN_INCH, metadata=about)
        except OSError as error:
            raise EvaluationError(
                f"the plot can't be written to {path}: {error.strerror}; name another file"
            ) from error


def _title(report: Report) -> str:
    found = report.evaluation
    of = found.settings.get("collection") or found.settings.get("run", "")
    at = "" if found.generation is None else f", generation {found.generation}"
    return f"{of}{at}: {len(found.queries)} queries"


def _draw_figures(axes: "Axes", report: Report) -> None:
    names = report.evaluation.measures
    rows = range(len(names))
    means = [report.intervals[name].mean for name in names]
    error = [
        [report.intervals[name].mean - report.intervals[name].low for name in names],
        [report.intervals[name].high - report.intervals[name].mean for name in names],
    ]
    axes.errorbar(means, rows, xerr=error, fmt="o", color=_NOW, capsize=3, label="now, 95 %")
    if report.comparison is not None:
        compared = report.comparison.by_measure
        at = [row for row in rows if names[row] in compared]
        before = [compared[names[row]].baseline for row in at]
        axes.plot(before, at, "D", color=_THEN, zorder=1, label="baseline")
    for row, mean in zip(rows, means, strict=True):
        axes.annotate(f"{mean:.3f}", (mean, row), (0, 6), textcoords="offset points", ha="center")
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.7)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color=_LIGHT)
    axes.legend(loc="best")
    axes.set_title("Mean over queries")


def _draw_queries(axes: "Axes", report: Report) -> None:
    name = report.evaluation.measures[0]
    axes.set_xlabel("queries, in this order")
    axes.grid(axis="y", color=_LIGHT)
    if report.comparison is None or name not in report.comparison.by_measure:
        _draw_sorted(axes, sorted(report.evaluation.values(name), reverse=True))
        axes.set_ylim(0, 1.02)
        axes.set_title(f"{name} of each query")
        return
    compared = report.comparison.by_measure[name]
    changed = sorted((one.difference for one in report.comparison.changes[name]), reverse=True)
    gained = [one for one in changed if one > 0]
    _draw_sorted(axes, [*gained, *[0.0] * compared.ties, *changed[len(gained) :]])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylim(-1.05, 1.05)
    shown = compared.difference
    axes.set_title(
        f"{name}, change of each query: {compared.wins} better, {compared.losses} worse,"
        f" {compared.ties} same\nmean {shown.mean:+.4f} (95 %: {shown.low:+.4f} to"
        f" {shown.high:+.4f})",
        fontsize="medium",
    )


def _draw_sorted(axes: "Axes", heights: Sequence[float]) -> None:
    """Filled steps: a bar for each of thousands of queries would be as many shapes."""
    edges = range(len(heights) + 1)
    axes.stairs([max(one, 0) for one in heights], edges, fill=True, color=_NOW)
    axes.stairs([min(one, 0) for one in heights], edges, fill=True, color=_LOST)
    axes.set_xlim(0, len(heights))
