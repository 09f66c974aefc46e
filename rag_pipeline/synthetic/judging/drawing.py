"""Plots as SVG inside of a page: their colours follow it, and words beside each say the same."""

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite

_WIDTH, _HEIGHT = 320, 120
_FLOOR = 104
_ROW = 18
_NAMES_WIDE = 112
_CELL = 20
_HEAT_LEFT = 160
HEAT = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.35, 0.6)
"""Errors above which a colour is stronger."""


def svg(width: float, height: float, label: str, inside: Iterable[str], kind: str) -> str:
    """A picture that says what it is to whoever can't see it."""
    return (
        f'<svg class="{kind}" width="{width:g}" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label="{escape(label)}">{"".join(inside)}</svg>'
    )


def _rect(kind: str, x: float, y: float, width: float, height: float, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}"'
        f' height="{max(height, 0):.1f}">{inside}</rect>'
    )


def _text(kind: str, x: float, y: float, said: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(said)}</text>'


def _line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{at}"/>'


def steps(
    names: Sequence[str],
    real: Sequence[float],
    synthetic: Sequence[float],
    ends: tuple[str, str],
    label: str,
) -> str:
    """Bins of a number: real ones as a filled shape, synthetic ones as a line over it."""
    most = max([*real, *synthetic, 1e-9])
    wide = _WIDTH / max(len(names), 1)
    tall = _FLOOR - 8
    bars = [
        _rect(
            "real",
            place * wide,
            _FLOOR - share / most * tall,
            wide,
            share / most * tall,
            f"{name}: real {share:.1%}, synthetic {other:.1%}",
        )
        for place, (name, share, other) in enumerate(zip(names, real, synthetic, strict=True))
    ]
    outline = [(0.0, float(_FLOOR))]
    for place, share in enumerate(synthetic):
        top = _FLOOR - share / most * tall
        outline += [(place * wide, top), ((place + 1) * wide, top)]
    outline.append((float(_WIDTH), float(_FLOOR)))
    axis = _line("axis", [(0, _FLOOR), (_WIDTH, _FLOOR)])
    low, high = ends
    words = [_text("low", 0, _HEIGHT - 2, low), _text("high", _WIDTH, _HEIGHT - 2, high)]
    return svg(
        _WIDTH, _HEIGHT, label, [*bars, _line("synthetic", outline), axis, *words], "histogram"
    )


def bars(
    names: Sequence[str], real: Sequence[float], synthetic: Sequence[float], label: str
) -> str:
    """Names, one below the other: a real and a synthetic bar for each."""
    most = max([*real, *synthetic, 1e-9])
    room = _WIDTH - _NAMES_WIDE
    inside: list[str] = []
    for place, (name, share, other) in enumerate(zip(names, real, synthetic, strict=True)):
        top = place * _ROW
        said = f"{name}: real {share:.1%}, synthetic {other:.1%}"
        inside += [
            _text("high name", _NAMES_WIDE - 6, top + 12, _short(name)),
            _rect("real", _NAMES_WIDE, top + 2, share / most * room, 6, said),
            _rect("synthetic", _NAMES_WIDE, top + 9, other / most * room, 5, said),
        ]
    return svg(_WIDTH, max(len(names), 1) * _ROW + 2, label, inside, "histogram")


def _short(name: str, most: int = 17) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def heat(columns: Sequence[str], values: dict[tuple[str, str], float], label: str) -> str:
    """Pairs of columns as a grid, the stronger the further from the real ones. Columns are numbered
    from above, as the rows are."""
    side = len(columns) * _CELL
    place = {name: at for at, name in enumerate(columns)}
    cells = [
        _cell(place[one], place[other], value, f"{one} and {other}")
        for (first, second), value in values.items()
        for one, other in ((first, second), (second, first))
        if first in place and second in place
    ]
    names = [
        _text("high name", _HEAT_LEFT - 6, _CELL * (at + 1) + 13, f"{_short(name, 22)} {at + 1}")
        for name, at in place.items()
    ]
    numbers = [
        _text("middle", _HEAT_LEFT + (at + 0.5) * _CELL, 12, str(at + 1))
        for at in range(len(columns))
    ]
    inside = [*names, *numbers, *cells]
    return svg(_HEAT_LEFT + side + 2, _CELL + side + 2, label, inside, "heat")


def _cell(column: int, row: int, value: float, pair: str) -> str:
    level = sum(1 - value > error for error in HEAT)
    at = (_HEAT_LEFT + column * _CELL, (row + 1) * _CELL)
    return _rect(f"heat-{level}", *at, _CELL - 1, _CELL - 1, f"{pair}: {value:.3f}")


def lags(real: Sequence[float | None], synthetic: Sequence[float | None], label: str) -> str:
    """Correlations by how many records lie between, from 1: real ones as bars, synthetic ones as a
    line; from 0, or the lowest below, to 1."""
    there = [one for one in (*real, *synthetic) if one is not None]
    low = min([0.0, *there])
    tall, wide = (_FLOOR - 8) / (1 - low), _WIDTH / max(len(real), 1)
    zero = _FLOOR + low * tall
    bars = [
        _rect(
            "real", at * wide + 2, zero - max(one, 0) * tall, wide - 4, abs(one) * tall,
            f"{at + 1} apart: real {one:.2f}",
        )
        for at, one in enumerate(real)
        if one is not None
    ]  # fmt: skip
    points = [
        ((at + 0.5) * wide, zero - one * tall)
        for at, one in enumerate(synthetic)
        if one is not None
    ]
    axis = _line("axis", [(0, zero), (_WIDTH, zero)])
    words = [
        _text("low", 0, _HEIGHT - 2, "1 apart"),
        _text("high", _WIDTH, _HEIGHT - 2, f"{len(real)} apart"),
    ]
    return svg(
        _WIDTH, _HEIGHT, label, [*bars, _line("synthetic", points), axis, *words], "histogram"
    )


def curve(losses: Sequence[float], validations: Sequence[tuple[float, float]], label: str) -> str:
    """Losses over steps, and validations, each in its own scale; x from 0 to 1."""
    width, height = 640, 200
    floor = height - 12
    inside = [_line("axis", [(0, floor), (width, floor)])]
    kept = [(at / max(len(losses) - 1, 1), value) for at, value in enumerate(losses)]
    for kind, points in (("loss", kept), ("validation", [*validations])):
        finite = [(x, y) for x, y in points if isfinite(y)]
        placed = _scaled(finite, width, floor)
        inside += [_line(kind, placed)] if placed else []
        if kind == "validation":
            inside += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed]
    return svg(width, height, label, inside, "curve")


def _scaled(
    points: Sequence[tuple[float, float]], width: float, floor: float
) -> list[tuple[float, float]]:
    if not points:
        return []
    low, high = min(y for _, y in points), max(y for _, y in points)
    spread = high - low or 1.0
    return [(4 + x * (width - 8), floor - 4 - (y - low) / spread * (floor - 12)) for x, y in points]


def gauge(value: float, limit: float, *, is_least: bool, label: str) -> str:
    """A bar as long as the measure, and a mark where the limit stands."""
    width = 120
    end = max(value, limit, 1e-9) * 1.15
    good = value >= limit if is_least else value <= limit
    inside = [
        _rect("track", 0, 3, width, 8),
        _rect("within" if good else "beyond", 0, 3, max(value, 0) / end * width, 8),
        _rect("limit", max(limit, 0) / end * width - 1, 0, 2, 14),
    ]
    return svg(width, 14, label, inside, "gauge")
