"""Curves that rise, and back along them."""

import pytest
import torch

from rag_pipeline.synthetic.tables.splines import BOUND, bent, parameters


@pytest.fixture
def curves() -> torch.Tensor:
    """Splines of every roughness, (300, 23), in float64."""
    chance = torch.Generator().manual_seed(0)
    rough = torch.logspace(-2, 1, 300, dtype=torch.float64)[:, None]
    return rough * torch.randn(300, parameters(8), generator=chance, dtype=torch.float64)


def points() -> torch.Tensor:
    """In bins, at their ends, at ±BOUND and beyond it."""
    return torch.linspace(-1.2 * BOUND, 1.2 * BOUND, 300, dtype=torch.float64)


def test_there_and_back_is_where_one_was(curves: torch.Tensor) -> None:
    there, slope = bent(points(), curves)
    back, slope_back = bent(there, curves, inverse=True)
    torch.testing.assert_close(back, points(), atol=1e-6, rtol=0)
    torch.testing.assert_close(slope, -slope_back, atol=1e-4, rtol=0)


def test_the_slope_is_the_derivative(curves: torch.Tensor) -> None:
    at = points().requires_grad_()
    there, log_slope = bent(at, curves)
    (expected,) = torch.autograd.grad(there.sum(), at)
    torch.testing.assert_close(log_slope.exp(), expected, atol=1e-9, rtol=1e-9)


def test_each_curve_rises_from_end_to_end(curves: torch.Tensor) -> None:
    there = torch.stack([bent(points(), curve.expand(300, -1))[0] for curve in curves[::30]])
    assert (there.diff(dim=1) > 0).all()
    assert (there[:, 0] == points()[0]).all()
    assert (there[:, -1] == points()[-1]).all()


def test_zeros_are_the_diagonal() -> None:
    there, log_slope = bent(points(), torch.zeros(300, parameters(5), dtype=torch.float64))
    torch.testing.assert_close(there, points())
    torch.testing.assert_close(log_slope, torch.zeros(300, dtype=torch.float64))
