"""What can go wrong with the weights of a model; the tree stands in `rag_pipeline.errors`."""

from typing import ClassVar

from rag_pipeline.errors import ModelError


class WeightsMissingError(ModelError):
    """The weights of a model are not on this machine, or no model has this name."""


class WeightsDamagedError(ModelError):
    """A file of a model is missing, cut short or not the one that was recorded."""


class PullError(ModelError):
    """Weights could not be fetched or converted; what was there before is untouched."""

    retryable: ClassVar[bool] = True
