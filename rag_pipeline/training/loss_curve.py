"""A picture of a training: the loss of each step, and what was measured on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag_pipeline.evaluation.plot import SUFFIXES
from rag_pipeline.training.checkpoints import Validation
from rag_pipeline.training.errors import TrainingError

_INCHES = (8.0, 4.2)
_DOTS_AN_INCH = 150
_LOSS, _SMOOTH, _VALUE = "#b8cbd9", "#1b6ca8", "#b5442f"
_SMOOTHED_OVER = 20
"""Parts of the curve that a mean is taken of."""


def check_loss_curve(path: Path) -> None:
    """Raise `TrainingError` for a file that no picture can be written to, before any work."""
    if path.suffix.lower() not in SUFFIXES:
        raise TrainingError(
            f"a plot can't be written to {path.name!r}: end its name in {' or '.join(SUFFIXES)}"
        )
    try:
        import matplotlib  # noqa: F401  # asked for before the training, not after
    except ImportError as error:
        raise TrainingError(
            "a plot needs matplotlib: pip install 'rag-pipeline-service[plot]'"
        ) from error


def draw_loss_curve(
    path: Path,
    losses: Sequence[float],
    validations: Sequence[Validation],
    *,
    title: str,
    measure: str,
) -> None:
    """Write the picture to `path`, PNG or SVG by its suffix. Raises `TrainingError`.

    `measure` is what the validations measure. The same figures give the same file.
    """
    check_loss_curve(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "rag", "svg.fonttype": "none"}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        steps = range(1, len(losses) + 1)
        axes.plot(steps, losses, color=_LOSS, linewidth=1)
        axes.plot(steps, _smoothed(losses), color=_SMOOTH, label="loss")
        axes.set_xlabel("steps")
        axes.set_ylabel("loss", color=_SMOOTH)
        beside = axes.twinx()
        at, values = [one.step for one in validations], [one.value for one in validations]
        beside.plot(at, values, "o-", color=_VALUE, label=measure)
        beside.set_ylabel(f"{measure}, held back", color=_VALUE)
        axes.set_title(title)
        about: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(path, dpi=_DOTS_AN_INCH, metadata=about)
        except OSError as error:
            raise TrainingError(
                f"the plot can't be written to {path}: {error.strerror}; name another file"
            ) from error


def _smoothed(losses: Sequence[float]) -> list[float]:
    """The mean of each value and those shortly before it."""
    width = max(1, len(losses) // _SMOOTHED_OVER)
    windows = (losses[max(0, at + 1 - width) : at + 1] for at in range(len(losses)))
    return [sum(window) / len(window) for window in windows]
