"""The forward pass of models of the Llama family on a CPU, in few and large operations.

transformers multiplies by weights as they lie in the file, so that eight tokens cost twice as much
as one, and spends a third of a step between its matrices. Here a layer is four multiplications by
matrices that oneDNN has laid out once, float32 as before, and all sequences share them.

Letters: T tokens of all runs together, H width of the model, Q and G heads that ask and that hold
keys, D width of a head, N tokens of one sequence so far.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Linear, functional

from rag_pipeline.generation.forward import Run
from rag_pipeline.generation.matrices import EightBitMatrix, Matrix, Norm, Weights

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_KINDS = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_ROPES = frozenset({"default", "linear", "llama3", "yarn"})
"""Those whose angles depend on the position alone."""
_FULL = "full_attention"
_GROWTH = 256
"""Tokens by which the room of a sequence grows."""
_SHORT = 32
"""Up to so many tokens, the heads that share keys are asked as one."""


class KeyValues:
    """Keys and values of every token that a sequence has read, in float32."""

    def __init__(self, layers: int, heads: int, width: int, *, room: int) -> None:
        self.tokens: list[int] = []
        self.held = torch.empty(layers, 2, heads, room, width)

    @property
    def nbytes(self) -> int:
        return self.held.nbytes

    def crop(self, tokens: int) -> None:
        del self.tokens[tokens:]

    def copied(self, tokens: int, *, room: int) -> "KeyValues":
        layers, _, heads, _, width = self.held.shape
        copy = KeyValues(layers, heads, width, room=max(room, tokens))
        copy.held[:, :, :, :tokens] = self.held[:, :, :, :tokens]
        copy.tokens = self.tokens[:tokens]
        return copy

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` in all. Whoever shares the memory keeps it as it was."""
        if tokens > self.held.shape[3]:
            self.held = self.copied(len(self.tokens), room=tokens + _GROWTH).held


class Llama:
    """The model, ready to run; see `taken_from`."""

    forgets = True

    def __init__(self, model: "PreTrainedModel", matrix: type[Matrix | EightBitMatrix]) -> None:
        config = model.config
        self._matrix, self._heads = matrix, config.num_attention_heads
        self._groups, self._epsilon = config.num_key_value_heads, config.rms_norm_eps
        self._width = getattr(config, "head_dim", None) or config.hidden_size // self._heads
        self._angles = deepcopy(model.base_model.get_submodule("rotary_emb"))
        self._words = model.get_parameter("model.embed_tokens.weight").detach()
        # A head that is tied to the words is no parameter of its own.
        self._head = matrix({"head.weight": model.get_submodule("lm_head").weight}, "head")  # type: ignore[dict-item]
        self._norm = Norm(
            {"norm.weight": model.get_parameter("model.norm.weight")}, "norm", self._epsilon
        )
        self._layers: list[_Layer] = []

    def add(self, layer: Weights) -> None:
        """Put `layer` on top of those that are there."""
        self._layers.append(_Layer(layer, self._matrix, self._heads, self._groups, self._epsilon))

    def begin(self, *, room: int) -> KeyValues:
        return KeyValues(len(self._layers), self._groups, self._width, room=room)

    @torch.inference_mode()
    def __call__(self, runs: Sequence[Run[KeyValues]]) -> list[Tensor]:
        places = _places(runs)
        rows = functional.embedding(
            torch.tensor([token for run in runs for token in run.tokens]), self._words
        )
        positions = torch.cat([torch.arange(place.start, place.end) for place in places])
        cosines, sines = self._angles(rows, positions[None])
        turn = _Turn(cosines[0, :, None], sines[0, :, None])
        for at, layer in enumerate(self._layers):
            rows = layer(rows, turn, places, at)
        for run in runs:
            run.past.tokens.extend(run.tokens)
        return self._logits(rows, runs)

    def _logits(self, rows: Tensor, runs: Sequence[Run[KeyValues]]) -> list[Tensor]:
        wanted = [run.wanted for run in runs]
        if not any(wanted):
            return [rows.new_empty(0, 0) for _ in runs]
        parts = torch.split(rows, [len(run.tokens) for run in runs])
        last = torch.cat([part[len(part) - few :] for part, few in zip(parts, wanted, strict=True)])
        return list(torch.split(self._head(self._norm(last)), wanted))


@torch.inference_mode()
def taken_from(model: "PreTrainedModel") -> tuple[Llama, Llama]:
    """The model in float32, and for drafts in 8 bits; no weights are left in `model`."""
    exact, drafting = Llama(model, Matrix), Llama(model, EightBitMatrix)
    for at in range(model.config.num_hidden_layers):
        layer = model.base_model.get_submodule(f"layers.{at}")
        for one in (exact, drafting):
            one.add(dict(layer.named_parameters()))
        # Freed one by one, so that there is never much more in memory than one model.
        layer.to("meta")
    model.to("meta")  # type: ignore[arg-type]  # typed by transformers as if bound
    return exact, drafting


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run's tokens go, and what each of them may see."""

    past: KeyValues
    start: int
    end: int
    mask: Tensor | None

    @property
    def count(self) -> int:
        return self.end - self.start


def _places(runs: Sequence[Run[KeyValues]]) -> list[_Place]:
    places = []
    for run in runs:
        start = len(run.past.tokens)
        end = start + len(run.tokens)
        run.past.reserve(end)
        places.append(_Place(run.past, start, end, _mask(start, end)))
    return places


def _mask(start: int, end: int) -> Tensor | None:
    """What tokens `start` to `end` may see, to be added to scores; None: all, or up to each one."""
    if end - start == 1 or (start == 0 and end > _SHORT):
        return None
    return torch.full((end - start, end), float("-inf")).triu_(start + 1)


class _Turn:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) of T tokens, halves turned together."""

    def __init__(self, cosines: Tensor, sines: Tensor) -> None:
        """`cosines`, `sines` (T, 1, D)."""
        self._half = cosines.shape[-1] // 2
        self._cosines = cosines
        self._sines = torch.cat([-sines[..., : self._half], sines[..., self._half :]], dim=-1)

    def __call__(self, heads: Tensor) -> Tensor:
        """`heads` (T, any, D)."""
        return heads * self._cosines + heads.roll(self._half, -1) * self._sines


class _Layer:
    """Attention and the feed-forward part, each after a norm and added to what came in."""

    def __init__(
        self,
        weights: Weights,
        matrix: type[Matrix | EightBitMatrix],
        heads: int,
        groups: int,
        epsilon: float,
    ) -> None:
        self._heads, self._groups = heads, groups
        asking = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self._before_attention = Norm(weights, "input_layernorm", epsilon)
        self._asking = matrix(weights, *asking)
        self._norms = [
            Norm(weights, name, epsilon)
            for name in ("self_attn.q_norm", "self_attn.k_norm")
            if f"{name}.weight" in weights
        ]
        self._attended = matrix(weights, "self_attn.o_proj")
        self._before_widening = Norm(weights, "post_attention_layernorm", epsilon)
        self._widened = matrix(weights, "mlp.gate_proj", "mlp.up_proj")
        self._narrowed = matrix(weights, "mlp.down_proj")

    def __call__(self, rows: Tensor, turn: _Turn, places: Sequence[_Place], at: int) -> Tensor:
        """`rows` (T, H), in layer `at`."""
        asked = self._asking(self._before_attention(rows))
        asked = asked.view(len(rows), self._heads + 2 * self._groups, -1)
        queries, keys, values = self._turned(asked, turn)
        attended, first = [], 0
        for place in places:
            last = first + place.count
            _write(place, at, keys[first:last], values[first:last])
            attended.append(_attend(queries[first:last], place, at))
            first = last
        rows = self._attended(torch.cat(attended), onto=rows)
        gate, up = self._widened(self._before_widening(rows)).chunk(2, dim=-1)
        return self._narrowed(functional.silu(gate) * up, onto=rows)

    def _turned(self, asked: Tensor, turn: _Turn) -> tuple[Tensor, Tensor, Tensor]:
        """`asked` (T, Q + 2 G, D) to queries, keys and values."""
        both, values = asked[:, : -self._groups], asked[:, -self._groups :]
        if self._norms:
            norm_queries, norm_keys = self._norms
            both = torch.cat(
                [norm_queries(both[:, : self._heads]), norm_keys(both[:, self._heads :])], dim=1
            )
        both = turn(both)
        return both[:, : self._heads], both[:, self._heads :], values


def _write(place: _Place, at: int, keys: Tensor, values: Tensor) -> None:
    """`keys`, `values` (T, G, D) of one run."""
    held = place.past.held[at]
    held[0, :, place.start : place.end] = keys.transpose(0, 1)
    held[1, :, place.start : place.end] = values.transpose(0, 1)


def _attend(queries: Tensor, place: _Place, at: int) -> Tensor:
    """`queries` (T, Q, D) of one run to (T, Q * D)."""
    keys, values = place.past.held[at, :, None, :, : place.end]
    tokens, heads, width = queries.shape
    groups = keys.shape[1]
    if tokens > _SHORT:
        seen = functional.scaled_dot_product_attention(
            queries.transpose(0, 1)[None],
            keys,
            values,
            attn_mask=place.mask,
            is_causal=place.mask is None,
            enable_gqa=heads != groups,
        )
        return seen[0].transpose(0, 1).reshape(tokens, heads * width)
    # Heads that share keys become tokens of one head, so that the keys are read once.
    shared = heads // groups
    asked = queries.view(tokens, groups, shared, width).permute(1, 2, 0, 3)
    mask = None if place.mask is None else place.mask.repeat(shared, 1)
    seen = functional.scaled_dot_product_attention(
        asked.reshape(1, groups, shared * tokens, width), keys, values, attn_mask=mask
    )
    return seen.view(groups, shared, tokens, width).permute(2, 0, 1, 3).reshape(tokens, -1)


def fits(model: "PreTrainedModel") -> bool:
    """Whether `Llama` can run it, by its configuration, its layers and where it is."""
    return (
        model.device.type == "cpu"
        and model.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and _is_plain(model.config)
        and all(type(part) is Linear for part in model.modules() if hasattr(part, "in_features"))
    )


def _is_plain(config: "PretrainedConfig") -> bool:
    layers = getattr(config, "layer_types", None)
    seen_whole = set(layers) == {_FULL} if layers else not getattr(config, "sliding_window", None)
    ropes = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in _KINDS
        and config.hidden_act == "silu"
        and ropes.get("rope_type") in _ROPES
        and seen_whole
    )
