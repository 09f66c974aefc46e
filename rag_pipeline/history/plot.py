"""Pictures of the history: groups of exchanges side by side, and how its use moves."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.evaluation.plot import check_plot
from rag_pipeline.history.statistics import row
from rag_pipeline.history.trends import Trends
from storage.errors import InvalidRecordError
from storage.prompts.statistics import PERIODS, By, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STATES = (
    ("grounded", "#1b6ca8", "grounded"),
    ("partial", "#e0a030", "partly grounded"),
    ("no_evidence", "#b8b8b8", "no evidence"),
    ("failed", "#b5442f", "failed"),
)
_LINE, _FAINT = "#1b6ca8", "#dddddd"
_FEW, _MOST_GROUPS = 6, 25
_LONGEST_NAME = 28
_DOTS_AN_INCH = 150


def plot_statistics(groups: Sequence[Group], by: By, path: Path) -> None:
    """Write how many were asked and how they came out, how long they took, and how they were
    rated. Raises `EvaluationError` for a file that is no picture's, `InvalidRecordError`."""
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    shown = groups if by in PERIODS else groups[:_MOST_GROUPS]
    upper, middle, lower = figure.subplots(3, 1, sharex=True)
    _draw_outcomes(upper, shown, by)
    _draw_seconds(middle, shown, by)
    _draw_ratings(lower, shown, by)
    _name_groups(lower, shown, by)
    left_out = f", the first {len(shown)} of {len(groups)}" if len(shown) < len(groups) else ""
    figure.suptitle(f"Exchanges by {by}{left_out}")
    _save(figure, path)


def plot_trends(found: Trends, path: Path) -> None:
    """Write usage, latency, feedback and topics of a period and of the one before it. Raises as
    `plot_statistics` does."""
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 8.0), layout="constrained")
    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    _draw_outcomes(upper_left, found.series, "day")
    _draw_seconds(upper_right, found.series, "day")
    _draw_ratings(lower_left, found.series, "day")
    begins = date.fromisoformat(found.first_day)
    for axes in (upper_left, upper_right, lower_left):
        _name_groups(axes, found.series, "day")
        if found.series:
            axes.axvline(_x_of(begins), color="#666666", linestyle=":", linewidth=1, zorder=0)
    _draw_topics(lower_right, found)
    figure.suptitle(f"{found.days} days from {found.first_day} on, and as many before")
    _save(figure, path)


def _x_of(day: date) -> float:
    """Half a day before it, in matplotlib's days since 1970."""
    return (day - date(1970, 1, 1)).days - 0.5


def _places(groups: Sequence[Group], by: By) -> Sequence[Any]:
    """Where each group stands on the axis: time by its date, anything else in its order."""
    if by in PERIODS:
        return [date.fromisoformat(group.key) for group in groups]
    return range(len(groups))


def _width(by: By) -> float:
    return {"week": 6.0, "month": 25.0}.get(by, 0.8)


def _draw_outcomes(axes: "Axes", groups: Sequence[Group], by: By) -> None:
    places, rows = _places(groups, by), [row(group) for group in groups]
    below = [0.0] * len(rows)
    for name, colour, words in _STATES:
        heights = [float(one[name] or 0) for one in rows]
        axes.bar(places, heights, _width(by), bottom=below, color=colour, label=words)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_ylabel("exchanges")
    axes.set_title("Outcome", fontsize="medium")
    axes.legend(loc="upper left", fontsize="small", ncols=2)
    axes.set_ylim(0, max([1.0, *below]) * 1.3)


def _draw_seconds(axes: "Axes", groups: Sequence[Group], by: By) -> None:
    places, rows = _places(groups, by), [row(group) for group in groups]
    for name, style, words in (("p50_s", "o-", "half are faster"), ("p95_s", "s--", "95 % are")):
        timed = [(x, one[name]) for x, one in zip(places, rows, strict=True) if one[name]]
        _draw_points(axes, timed, style if by in PERIODS else style[0], words)
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
    axes.set_title("Time to the answer", fontsize="medium")


def _draw_ratings(axes: "Axes", groups: Sequence[Group], by: By) -> None:
    places, rows = _places(groups, by), [row(group) for group in groups]
    rated = [(x, one["rating"]) for x, one in zip(places, rows, strict=True)]
    _draw_points(
        axes,
        [(x, mean) for x, mean in rated if mean is not None],
        "o-" if by in PERIODS else "o",
        "rated by people",
    )
    judged = [
        (x, said.mean)
        for x, group in zip(places, groups, strict=True)
        if (said := group.totals.opinions.get(("automatic", "groundedness"))) is not None
    ]
    _draw_points(axes, judged, "s--" if by in PERIODS else "s", "groundedness by rule")
    axes.set_ylabel("mean score")
    axes.set_ylim(-0.05, 1.05)
    axes.set_title("Scores", fontsize="medium")


def _draw_points(axes: "Axes", points: Sequence[tuple[Any, Any]], style: str, words: str) -> None:
    axes.grid(axis="y", color=_FAINT)
    axes.set_axisbelow(True)
    if points:
        xs, ys = zip(*points, strict=True)
        colour = _LINE if style.startswith("o") else "#777777"
        axes.plot(xs, ys, style, color=colour, label=words, markersize=4)
        axes.legend(loc="best", fontsize="small")


def _name_groups(axes: "Axes", groups: Sequence[Group], by: By) -> None:
    if by in PERIODS:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        # Neither says what it takes.
        locator = AutoDateLocator(minticks=2, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
        return
    axes.set_xticks(range(len(groups)), [_short(group.key) for group in groups])
    axes.tick_params(axis="x", rotation=30 if len(groups) > 4 else 0)
    axes.set_xlim(-0.6, max(len(groups), _FEW) - 0.4)


def _short(name: str) -> str:
    """A `$` would begin a formula."""
    name = name.replace("$", r"\$")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _draw_topics(axes: "Axes", found: Trends) -> None:
    terms = [*found.risen, *reversed(found.fallen)]
    colours = [_LINE if term.z > 0 else "#b5442f" for term in terms]
    axes.barh(range(len(terms)), [term.z for term in terms], color=colours)
    axes.set_yticks(range(len(terms)), [_short(term.term) for term in terms])
    axes.invert_yaxis()
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_xlabel("fell ← standard deviations → rose")
    axes.set_title("Terms of the questions", fontsize="medium")
    if not terms:
        axes.text(0.5, 0.5, "no term moved beyond chance", ha="center", transform=axes.transAxes)


def _save(figure: "Figure", path: Path) -> None:
    import matplotlib as mpl

    about: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
    # The same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "rag", "svg.fonttype": "none"}):
        try:
            figure.savefig(path, dpi=_DOTS_AN_INCH, metadata=about)
        except OSError as error:
            raise InvalidRecordError(
                f"the plot can't be written to {path}: {error.strerror}; name another file"
            ) from error
