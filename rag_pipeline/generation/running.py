"""How a loaded model is run: quickly where that is proven to be the same, else by transformers."""

import time
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import torch

from rag_pipeline.generation.causal import Causal
from rag_pipeline.generation.choosing import Choose
from rag_pipeline.generation.decoding import Decoder
from rag_pipeline.generation.forward import Forward, P, Run
from rag_pipeline.generation.llama import fits, taken_from

if TYPE_CHECKING:
    from torch import Tensor

    from rag_pipeline.generation.loading import Loaded

_CUTS = (0, 40, 45, 46)
"""The probe is read as a beginning, as a guess and as one token."""
_CLOSE = 1e-3
"""Of the largest score: another order of sums differs by 2e-6, a wrong matrix by more than 0.1."""


_WORTH_DRAFTING = 0.7
"""Of the time of an exact pass: with four of five drafts right, drafting gains below this."""
_TRIALS = 4


class Tokens(Protocol):
    """What makes the tokens after a prompt; see `Decoder.tokens`."""

    def __call__(
        self, prompt: Sequence[int], choose: Choose, *, limit: int
    ) -> Generator[int, None, None]: ...


class UnfaithfulError(Exception):
    """The quick pass can't be run or is not proven; the model was used up in trying."""


def quick(loaded: "Loaded", *, kept_bytes: int) -> Tokens | None:
    """By the quick pass, once it has scored a probe as the plain one does; None for a model that
    it is not made for. It takes the weights out of `loaded`.
    """
    if not fits(loaded.model):
        return None
    words = loaded.model.config.vocab_size
    probe = [at * words // _CUTS[-1] for at in range(_CUTS[-1])]
    expected = _scores(Causal(loaded.model), probe, (0, len(probe)))
    try:
        exact, drafting = taken_from(loaded.model)
        found = _scores(exact, probe, _CUTS)
        drafter = drafting if _pays(drafting, exact) else None
    # The operations that it is made of are PyTorch's own affair, and may go or change.
    except (AttributeError, RuntimeError) as error:
        raise UnfaithfulError(str(error)) from error
    if not (found - expected).abs().max() <= _CLOSE * expected.abs().max():
        raise UnfaithfulError("it scores tokens otherwise")
    return _decoder(exact, drafter, loaded, kept_bytes)


def plain(loaded: "Loaded", *, kept_bytes: int) -> Tokens:
    """By the pass of transformers."""
    return _decoder(Causal(loaded.model), None, loaded, kept_bytes)


def _decoder(
    forward: Forward[P], drafter: Forward[P] | None, loaded: "Loaded", kept_bytes: int
) -> Tokens:
    return Decoder(
        forward, drafter=drafter, end_tokens=loaded.end_tokens, kept_bytes=kept_bytes
    ).tokens


def _pays(drafting: Forward[P], exact: Forward[P]) -> bool:
    """Whether this processor runs the 8-bit model enough faster for its drafts to be worth it."""
    return _step_s(drafting) < _WORTH_DRAFTING * _step_s(exact)


def _step_s(forward: Forward[P]) -> float:
    """Seconds of this thread for one token, the least of some: others may be busy."""
    past, taken = forward.begin(room=_TRIALS), []
    for _ in range(_TRIALS):
        began = time.thread_time()
        forward([Run(past, [0])])
        taken.append(time.thread_time() - began)
    return min(taken)


def _scores(forward: Forward[P], probe: Sequence[int], cuts: Sequence[int]) -> "Tensor":
    """The scores after each token of `probe`, read in pieces from cut to cut."""
    past = forward.begin(room=len(probe))
    pieces = [probe[start:end] for start, end in pairwise(cuts)]
    return torch.cat([forward([Run(past, piece, wanted=len(piece))])[0] for piece in pieces])
