"""The weights of a generator's network among its arrays."""

from typing import TypeVar

import torch
from torch import nn

from rag_pipeline.synthetic.tables.coding import Arrays, under

Network = TypeVar("Network", bound=nn.Module)

_PREFIX = "network."


def weights_of(network: nn.Module) -> Arrays:
    """Under names that `loaded` knows."""
    return {f"{_PREFIX}{name}": w.contiguous().numpy() for name, w in network.state_dict().items()}


def loaded(network: Network, arrays: Arrays) -> Network:
    """The network with the weights among `arrays`, in evaluation mode.

    Raises `RuntimeError` where they are those of another one.
    """
    network.load_state_dict({n: torch.from_numpy(a) for n, a in under(_PREFIX, arrays).items()})
    return network.eval()
