"""The part of a page that shows how series go: how long, how far apart, and what follows what."""

from collections.abc import Mapping, Sequence
from html import escape

from rag_pipeline.synthetic.judging.drawing import lags
from rag_pipeline.synthetic.judging.page_parts import Json, number, plot, rows, section

_MOVES: Mapping[str, str] = {
    "transitions": "what name follows which",
    "autocorrelation": "how much of a value the next one keeps",
    "changes": "how far it moves to the next",
}


def series(judgement: Json) -> str:
    """Nothing where records make none."""
    found = judgement.get("series")
    if not found:
        return ""
    ours, real = judgement["synthetic"], judgement["floor"]
    key = (
        '<ul class="key"><li class="real">real, filled</li>'
        '<li class="synthetic">synthetic, line</li></ul>'
    )
    note = (
        f"{number(found['synthetic'])} synthetic series, by {escape(found['key'])}, beside"
        f" {number(found['train'])} that were learnt from and {number(found['held_out'])} held out."
        " All measures are 1 at best."
    )
    return section(
        "Series",
        key,
        f'<div class="columns">{"".join([*_histograms(found, ours), *_curves(found)])}</div>',
        _whole(ours, real),
        _moves(found["moves"]),
        note=note,
    )


def _histograms(found: Json, ours: Json) -> list[str]:
    unit = f", in {found['unit']}" if found["unit"] else ""
    parts = (
        ("records of a series", "lengths", ours["lengths"]),
        (f"from one record to the next{unit}", "steps", ours["steps"]),
    )
    return [
        plot({"name": name, "shape": shape, "histogram": found[of]})
        for name, of, shape in parts
        if found[of] is not None
    ]


def _curves(found: Json) -> list[str]:
    return [_curve(name, one) for name, one in found["autocorrelations"].items()]


def _curve(name: str, found: Json) -> str:
    real, synthetic = found["real"], found["synthetic"]
    said = f"{_said(real, 'real')}, {_said(synthetic, 'synthetic')}"
    picture = lags(real, synthetic, f"{name}: autocorrelation by records apart: {said}")
    return (
        f"<figure><figcaption><strong>{escape(name)}</strong> autocorrelation, 1 to"
        f" {len(real)} records apart; {escape(said)}</figcaption>{picture}</figure>"
    )


def _said(curve: Sequence[float | None], whose: str) -> str:
    there = [one for one in curve if one is not None]
    if not there:
        return f"nothing to see of {whose}"
    return f"{whose} from {number(there[0])} to {number(there[-1])}"


def _whole(ours: Json, real: Json) -> str:
    lines = [
        (said, number(ours[name]), number(real[name]))
        for name, said in (
            ("lengths", "Lengths: how many records there are"),
            ("steps", "Steps: the times between them"),
            ("dynamics", "Dynamics: what follows what, over all columns that change"),
        )
    ]
    return rows("Series as a whole", ("Measure", "Synthetic#", "Held-out#"), lines)


def _moves(found: Sequence[Json]) -> str:
    lines = [
        (
            escape(one["name"]),
            _MOVES[one["measure"]],
            number(one["synthetic"]),
            number(one["held_out"]),
        )
        for one in found
    ]
    if not lines:
        return "<p>No column changes within series.</p>"
    heads = ("Column", "Asked", "Synthetic#", "Held-out#")
    return rows("What follows what, of each column that changes", heads, lines)
