"""What pictures look like to a small classifier that is trained on them here.

A picture's features are what its last layer but one says. It learns to tell the labels apart; where
there are none, which of four ways a picture was turned over (after Gidaris et al., ICLR 2018,
arXiv:1803.07728, who turn by quarters). The same pictures and seed give the same features, and a
report names the SHA-256 of the weights: figures of other weights can't be compared.

Shapes: B pictures, C channels, H x W pixels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import PictureError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.learning import Examples, drawing, examples
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.learning import Steps, drawn_by, taught
from rag_pipeline.synthetic.saved import load_model
from rag_pipeline.synthetic.tables.coding import Arrays
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.task import sliced

Told = Literal["labels", "turns"]
Features = npt.NDArray[np.float64]

FEATURES = 64
_BATCH = 64
_LEARNING_RATE = 2e-3
_EPOCHS = 20
_STEPS = (150, 1_000)
_EMA = 0.99
_LARGE = 16
"""A shorter side above this is halved at once."""
_TURNS = 4
_WIDTH = 32
_BLOCK = 500


class Network(nn.Module):
    """Three convolutions, the features, and what they are taken for."""

    def __init__(self, shape: tuple[int, int, int], kinds: int) -> None:
        super().__init__()
        channels, height, width = shape
        first = 2 if min(height, width) > _LARGE else 1
        sides = [-(-side // (4 * first)) for side in (height, width)]
        self.read = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, padding=1, stride=first),
            nn.GELU(),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Conv2d(2 * _WIDTH, 2 * _WIDTH, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(2 * _WIDTH * sides[0] * sides[1], FEATURES),
        )
        self.write = nn.Linear(FEATURES, kinds)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, kinds) of pixels (B, C, H, W)."""
        found: Tensor = self.write(functional.gelu(self.read(pixels)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Examples
    held_back: Examples

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Cross-entropy (scalar)."""
        batch = self.learnt.at(list(rows))
        return functional.cross_entropy(self.model(batch.values), batch.labels)

    def validate(self) -> float:
        """Minus the cross-entropy of what is held back."""
        logits = self.model(self.held_back.values)
        return -functional.cross_entropy(logits, self.held_back.labels).item()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureNet:
    """A classifier of pictures of one size."""

    method: ClassVar[str] = "image/features"

    codec: PictureCodec
    network: Network
    told: Told

    @classmethod
    def fit(
        cls,
        pictures: Pictures,
        *,
        codec: PictureCodec | None = None,
        steps: int | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Self:
        """Learn from labelled pictures, or from how pictures without labels are turned over.

        `codec` says which labels there are, where not all need be among these pictures; `steps` are
        as many as each picture needs unless they are given. Raises `PictureError`, `TrainingError`.
        """
        codec = codec or PictureCodec.learnt(pictures)
        told: Told = "labels" if len(codec.labels) > 1 else "turns"
        learnt, held_back = examples(codec, pictures, seed)
        if told == "turns":
            learnt, held_back = _turned(learnt), _turned(held_back)
        with drawn_by(seed):
            network = Network(codec.shape, _kinds(codec, told))
        task = Learning(model=network, learnt=learnt, held_back=held_back)
        how = Steps(
            steps=steps or _steps(len(learnt)), batch_size=_BATCH, learning_rate=_LEARNING_RATE
        )
        taught(task, how, Fitting(seed=seed, threads=threads), ema=_EMA)
        return cls(codec=codec, network=network, told=told)

    def features(self, pictures: Pictures) -> Features:
        """(n, `FEATURES`)"""
        return self._said(self.network.read, pictures)

    def accuracy(self, pictures: Pictures) -> float:
        """The share of labels that it tells. Raises `PictureError` where there are none."""
        if self.told != "labels" or pictures.labels is None:
            raise PictureError("without labels nothing can be told right: give labelled pictures")
        told = self._said(self.network, pictures).argmax(axis=1)
        return float(np.mean(np.array(self.codec.labels)[told] == pictures.labels))

    def _said(self, part: nn.Module, pictures: Pictures) -> Features:
        values = self.codec.encode(pictures)
        with drawing():
            found = [
                part(values[start : start + _BLOCK]) for start in range(0, len(values), _BLOCK)
            ]
        return torch.cat(found).numpy().astype(np.float64)

    @property
    def sha256(self) -> str:
        """Of its weights."""
        return hashlib.sha256(save(dict(self.arrays()))).hexdigest()

    def as_json(self) -> dict[str, str | int]:
        """What a report says of it."""
        return {
            "net": "three convolutions, trained on the real pictures",
            "told": self.told,
            "features": FEATURES,
            "sha256": self.sha256,
        }

    def about(self) -> dict[str, Any]:
        """As of a `Generator`."""
        return {"pictures": self.codec.as_json(), "told": self.told}

    def arrays(self) -> Arrays:
        """As of a `Generator`."""
        return weights_of(self.network)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        """As of a `Generator`."""
        codec, told = PictureCodec.from_json(about["pictures"]), about["told"]
        network = Network(codec.shape, _kinds(codec, told))
        return cls(codec=codec, network=loaded(network, arrays), told=told)


def _steps(examples: int) -> int:
    """Twenty times each picture, within bounds."""
    fewest, most = _STEPS
    return min(max(_EPOCHS * examples // _BATCH, fewest), most)


def _kinds(codec: PictureCodec, told: Told) -> int:
    return codec.kinds if told == "labels" else _TURNS


def _turned(examples: Examples) -> Examples:
    """Each picture as it is, left to right, upside down, and both."""
    axes = [[], [3], [2], [2, 3]]
    turned = [examples.values.flip(one) for one in axes]
    labels = torch.arange(_TURNS).repeat_interleave(len(examples))
    return Examples(values=torch.cat(turned), labels=labels)


def load_features(folder: Path) -> FeatureNet:
    """What `save_generator` wrote there. Raises `ModelFileError` for what is damaged, foreign or of
    another form."""
    return load_model(folder, _class_of)


def _class_of(name: str) -> type[FeatureNet]:
    if name != FeatureNet.method:
        raise SyntheticError(f"{name!r} is no feature net: give the folder of one")
    return FeatureNet
