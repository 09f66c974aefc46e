"""How a training goes on, told to whoever watches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step that was taken, or a validation after it."""

    step: int
    """Steps taken so far."""
    steps: int
    """That are planned; early stopping may end before."""
    loss: float | None = None
    """Of that step."""
    validation: float | None = None
    """Measured on what is held back."""


def ignore(_progress: Progress) -> None:
    """Nobody watches."""
