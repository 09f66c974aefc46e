"""A judgement, its verdict, and where the records are from, as one JSON document.

It holds all that the page of `page.py` shows, so that a report that is kept can be looked at
whenever somebody asks why records were stored, or were not.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from rag_pipeline.synthetic.judging.gate import Verdict
from rag_pipeline.synthetic.judging.measure import Judged, shown
from rag_pipeline.training.checkpoints import Validation

FORM = 1
_MOST_POINTS = 120
"""Of a loss curve; longer ones are drawn from means."""

Scalar = str | int | float | bool | None


def report_of(
    found: Verdict,
    judgement: Judged,
    *,
    provenance: Mapping[str, Scalar],
    training: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Any] | None = None,
    texts: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The document; parts that are not given are left out.

    `provenance`: generator, model, data, seed, date and the like, in the order in which they are
    shown. `training`, `pictures`: what `training_curve` and `picture_grid` give. `texts`: figures
    of texts by name.
    """
    parts = {"training": training, "pictures": pictures, "texts": texts}
    return {
        "form": FORM,
        "verdict": found.as_json(),
        "judgement": judgement.as_json(),
        "provenance": dict(provenance),
        **{name: dict(part) for name, part in parts.items() if part is not None},
    }


def training_curve(
    losses: Sequence[float], validations: Sequence[Validation], *, measure: str
) -> dict[str, Any]:
    """How a training went, in a bounded number of points; `measure` is what was validated."""
    width = max(1, -(-len(losses) // _MOST_POINTS))
    means = [losses[at : at + width] for at in range(0, len(losses), width)]
    return {
        "steps": len(losses),
        "losses": [shown(sum(part) / len(part)) for part in means],
        "steps_a_point": width,
        "measure": measure,
        "validations": [[one.step, shown(one.value)] for one in validations],
    }


def picture_grid(
    judgement: Mapping[str, Any], png: bytes | None, *, shows: str = ""
) -> dict[str, Any]:
    """Figures of pictures, and a sheet of them: a PNG, of which `shows` says what it shows."""
    grid = None if png is None else base64.b64encode(png).decode("ascii")
    return {"judgement": dict(judgement), "grid": grid, "shows": shows}
