"""Small pictures, and generators that learnt them for a moment."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rag_pipeline.synthetic.generator import Fitting, ImageGenerator
from rag_pipeline.synthetic.images import diffusion, gan, vae
from rag_pipeline.synthetic.images.pictures import Pictures, digits, pictures_of

SMALL: dict[str, dict[str, Any]] = {
    "diffusion": {"width": 8, "steps": 8, "batch_size": 32, "sampling_steps": 2},
    "vae": {"width": 8, "hidden": 8, "steps": 8, "batch_size": 32, "sampling_steps": 2},
    "gan": {"width": 8, "noise": 8, "steps": 8, "batch_size": 16, "feature_steps": 10},
}
MODULES: dict[str, ModuleType] = {"diffusion": diffusion, "vae": vae, "gan": gan}


@dataclass(frozen=True, slots=True)
class Method:
    """One of the methods, at a small size."""

    name: str

    def fit(self, pictures: Pictures, *, seed: int = 0, **settings: Any) -> Any:
        module = MODULES[self.name]
        cls = getattr(module, self.name.capitalize())
        chosen = module.Settings(**{**SMALL[self.name], **settings})
        return cls.fit(pictures, chosen, Fitting(seed=seed))[0]


def tiles(
    count: int, *, channels: int = 1, size: tuple[int, int] = (8, 8), seed: int = 0
) -> Pictures:
    """One half white, the left or the right one, with noise; labelled by which."""
    chance = np.random.default_rng(seed)
    side = chance.integers(0, 2, count)
    pixels = chance.integers(0, 60, (count, channels, *size))
    half = size[1] // 2
    for place, right in enumerate(side):
        pixels[place, :, :, half * right : half * (right + 1)] += 180
    return pictures_of(pixels, np.where(side == 1, "right", "left").tolist())


@pytest.fixture(scope="session")
def some_digits() -> Pictures:
    return digits().rows(slice(400))


@pytest.fixture(scope="session")
def fitted(some_digits: Pictures) -> dict[str, ImageGenerator]:
    return {name: Method(name).fit(some_digits) for name in SMALL}


@pytest.fixture(params=[*SMALL])
def method(request: pytest.FixtureRequest) -> Method:
    return Method(request.param)
