"""A picture of how far answers can be trusted: stated chances, and risk by coverage."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.evaluation.answers_report import AnswersReport
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.plot import check_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (10.0, 4.6)
_DOTS_AN_INCH = 150
_COLOUR, _IDEAL = "#1b6ca8", "#b8b8b8"


def plot(report: AnswersReport, path: Path) -> None:
    """Write the picture to `path`, PNG or SVG by its suffix. Raises `EvaluationError`."""
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same evaluation gives the same file.
    with mpl.rc_context({"svg.hashsalt": "rag", "svg.fonttype": "none"}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_calibration(left, report)
        _draw_risk(right, report)
        figure.suptitle(
            f"{report.evaluation.settings['collection']}: {len(report.answers)} answers"
        )
        about: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(path, dpi=_DOTS_AN_INCH, metadata=about)
        except OSError as error:
            raise EvaluationError(
                f"the plot can't be written to {path}: {error.strerror}; name another file"
            ) from error


def _draw_calibration(axes: "Axes", report: AnswersReport) -> None:
    stated, true, counts = zip(*report.calibration, strict=True)
    axes.plot([0, 1], [0, 1], color=_IDEAL, label="as stated")
    axes.plot(stated, true, "o-", color=_COLOUR, label="came true")
    for x, y, count in zip(stated, true, counts, strict=True):
        axes.annotate(str(count), (x, y), (0, 6), textcoords="offset points", ha="center")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.08)
    axes.set_xlabel("stated chance that the answer is right")
    axes.set_ylabel("part that was right")
    axes.legend(loc="upper left")
    error = report.evaluation.totals["calibration_error"]
    axes.set_title(f"Calibration (mean error {error:.3f})")


def _draw_risk(axes: "Axes", report: AnswersReport) -> None:
    coverage, risk = zip(*report.risk_coverage, strict=True)
    axes.plot(coverage, risk, color=_COLOUR)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(0.1, *risk) * 1.05)
    axes.set_xlabel("part of the questions that is answered, the surest first")
    axes.set_ylabel("part of these answers that is wrong")
    axes.set_title("Risk by coverage")
