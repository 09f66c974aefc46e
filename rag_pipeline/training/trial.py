"""How many steps fit into a time, judged by the first few."""

from collections.abc import Callable

_SHARE = 0.03
"""Of the time, spent on judging."""
_FEWEST, _MOST = 3, 200
"""Steps that are judged by."""


def planned_within(
    budget_s: float,
    *,
    step: Callable[[], None],
    validate: Callable[[], object],
    validations: int,
    clock: Callable[[], float],
) -> int:
    """Steps, so that they, so many validations on the way and one before, and the trial itself take
    `budget_s`; at least 1."""
    began = clock()
    validate()
    a_validation = clock() - began
    step()  # makes room for what later steps find there
    from_here, taken = clock(), 0
    while taken < _FEWEST or (taken < _MOST and clock() - from_here < _SHARE * budget_s):
        step()
        taken += 1
    a_step = (clock() - from_here) / taken
    left = budget_s - (clock() - began) - (1 + validations) * a_validation
    return max(1, int(left / max(a_step, 1e-9)))
