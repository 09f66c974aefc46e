"""Safetensors of the BERT family to 8-bit weights for CTranslate2, proven against the plain model.

Quantising keeps what a model says only nearly, and a mistake in it keeps nothing: it still gives
vectors, all of them wrong. So a converted model is used only once it has said, of texts of many
kinds, nearly what the plain one says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ingest.embedders.errors import UnfitModelError
from ingest.embedders.int8_encoder import Int8Encoder, pooling_of
from ingest.embedders.local import LocalEmbedder, TextEncoder
from ingest.embedders.model_folder import ModelFolder
from ingest.embedders.torch_encoder import TorchEncoder
from storage.records import Vectors

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerEncoderModelSpec

LEAST_MEAN_COSINE = 0.99
"""Over the probes. Sound 8-bit weights give MiniLM .995 here and .9976 on real texts, and keep the
ranking (nDCG@10 within .003); weights in a wrong place or shape give under .9."""
LEAST_COSINE = 0.95
"""Of any one probe, so that no kind of text is lost in the mean. The worst of MiniLM is the empty
text at .98: its two marks are all there is to average."""

PROBES = (
    "",
    "bee",
    "How does aspirin lower the risk of a stroke?",
    "The lighthouse was built in 1783; its lamp stands 41.5 m above the sea.",
    "  Spaces before, a tab\tand a\nbreak, and spaces after  ",
    "SHOUTING, Mixed-Case-Words and e\u0301 beside é",
    "Die Bienen fliegen aus, wenn es wärmer als zehn Grad ist, und sammeln Nektar.",
    "Les abeilles sortent de la ruche lorsque la température dépasse dix degrés.",
    "Пчёлы вылетают из улья, когда становится теплее десяти градусов.",
    "蜜蜂在气温高于十度时飞出蜂巢。",
    "يخرج النحل من الخلية عندما يصبح الجو دافئا.",
    "def area(radius: float) -> float:\n    return math.pi * radius**2  # square metres\n",
    "SELECT title, count(*) FROM chunks WHERE deleted IS NULL GROUP BY title;",
    "3.14159 2.71828 1,000,000 -40 °C 0x7f 10^-9 12:45 2024-02-29 +41 44 668 18 00",
    "https://example.org/a?b=c&d=%20 someone@example.org /usr/local/bin",
    "🙂👩‍👩‍👧 \u200b\u202e [CLS] [SEP] <s> </s>",
    "In a randomised trial of 312 patients, the drug lowered blood pressure by 8 mmHg. " * 4,
    "Heat flows from the warmer body to the colder one until both are equally warm. " * 12,
    "harbour " * 700,
)

_ACTIVATIONS = {
    "gelu": "GELU",
    "gelu_python": "GELU",
    "gelu_new": "GELUTanh",
    "gelu_fast": "GELUTanh",
    "gelu_pytorch_tanh": "GELUTanh",
    "relu": "RELU",
}
_WORDS = "embeddings.word_embeddings.weight"
_Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What an architecture calls its weights; one without marks of type or offset has none."""

    layers: str = "encoder.layer"
    projections: tuple[str, str, str] = (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    )
    attended: str = "attention.output.dense"
    attended_norm: str = "attention.output.LayerNorm"
    widened: str = "intermediate.dense"
    narrowed: str = "output.dense"
    narrowed_norm: str = "output.LayerNorm"
    typed: bool = True
    counts_from_padding: bool = False
    """The first position is the one after the padding token's id (RoBERTa)."""


_ROBERTA = _Names(counts_from_padding=True)
_ARCHITECTURES: Mapping[str, _Names] = {
    "bert": _Names(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _Names(
        layers="transformer.layer",
        projections=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        attended="attention.out_lin",
        attended_norm="sa_layer_norm",
        widened="ffn.lin1",
        narrowed="ffn.lin2",
        narrowed_norm="output_layer_norm",
        typed=False,
    ),
}


def converter_version() -> str:
    """Changes when what is converted may change; the runtime's version is part of the proof."""
    return f"1-ctranslate2-{version('ctranslate2')}"


def check_supported(model: ModelFolder) -> None:
    """Raise `UnfitModelError`, from the settings alone, for a model that can't be converted."""
    kind = model.config.get("model_type")
    if kind not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise UnfitModelError(
            f"the embedder in {model.path} is of the kind {kind!r}; CTranslate2 takes {known}"
        )
    if model.config.get("position_embedding_type", "absolute") != "absolute":
        raise UnfitModelError(f"the embedder in {model.path} has positions that are not absolute")
    if _activation(model) not in _ACTIVATIONS:
        raise UnfitModelError(
            f"the embedder in {model.path} has the activation {_activation(model)!r};"
            f" CTranslate2 takes {', '.join(_ACTIVATIONS)}"
        )
    pooling_of(model)


def convert(model: ModelFolder, folder: Path) -> None:
    """Write 8-bit weights of `model` into `folder`; `UnfitModelError` unless they are proven."""
    check_supported(model)
    try:
        spec = _Converter(model, _read_weights(model.path)).spec()
        spec.validate()
        spec.optimize(quantization="int8")
        spec.save(str(folder))
    # What a folder lacks or holds in another shape shows in many ways.
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UnfitModelError(
            f"the embedder in {model.path} can't be converted for CTranslate2:"
            f" {type(error).__name__}: {error}"
        ) from error
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    prove(Int8Encoder.load(model, files, threads=1), TorchEncoder.load(model), model)


def prove(encoder: TextEncoder, plain: TextEncoder, model: ModelFolder) -> None:
    """Raise `UnfitModelError` unless both say nearly the same of every probe.

    Cosines are taken about the plain probes' mean: many models crowd all texts into one corner of
    the space, where any two vectors, right or wrong, have a high cosine.
    """
    expected, found = _embedded(plain, model), _embedded(encoder, model)
    middle = expected.mean(axis=0)
    cosines = (_unit(expected - middle) * _unit(found - middle)).sum(axis=1)
    mean, least = float(cosines.mean()), float(cosines.min())
    # Written so that NaN fails.
    if not (mean >= LEAST_MEAN_COSINE and least >= LEAST_COSINE):
        raise UnfitModelError(
            f"8-bit weights of the embedder in {model.path} are not faithful: cosine to the plain"
            f" model {mean:.4f} on average (needs {LEAST_MEAN_COSINE}), {least:.4f} at the least"
            f" (needs {LEAST_COSINE})"
        )


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _embedded(encoder: TextEncoder, model: ModelFolder) -> Vectors:
    """Vectors of the probes, packed as they will be."""
    embedder = LocalEmbedder(model, lambda: encoder, name="probe", weights_sha256="", threads=1)
    return embedder.embed(PROBES)


def _activation(model: ModelFolder) -> object:
    return model.config.get("hidden_act", model.config.get("activation", "gelu"))


def _read_weights(folder: Path) -> _Weights:
    """All weights by name, without the prefix that some models have before them."""
    found = {
        name: weight.astype(np.float32)
        for file in sorted(folder.glob("*.safetensors"))
        for name, weight in _load(file).items()
        if weight.dtype.kind == "f"
    }
    words = next((name for name in found if name.endswith(_WORDS)), _WORDS)
    prefix = words.removesuffix(_WORDS)
    return {name.removeprefix(prefix): weight for name, weight in found.items()}


def _load(file: Path) -> Mapping[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise UnfitModelError(f"the weights in {file} can't be read: {error}") from error


class _Converter:
    """Names and shapes of one model's weights as CTranslate2 wants them."""

    def __init__(self, model: ModelFolder, weights: _Weights) -> None:
        self._config = model.config
        self._names = _ARCHITECTURES[model.config["model_type"]]
        self._activation = _ACTIVATIONS[str(_activation(model))]
        self._weights = weights

    def spec(self) -> "TransformerEncoderModelSpec":
        from ctranslate2.specs import Activation, TransformerEncoderModelSpec
        from ctranslate2.specs import TransformerEncoderSpec as EncoderSpec

        config = self._config
        encoder = EncoderSpec(
            int(config["num_hidden_layers" if "num_hidden_layers" in config else "n_layers"]),
            int(config["num_attention_heads" if "num_attention_heads" in config else "n_heads"]),
            pre_norm=False,
            activation=Activation[self._activation],
            layernorm_embedding=True,
        )
        self._embeddings(encoder)
        for at, layer in enumerate(encoder.layer):
            self._layer(layer, f"{self._names.layers}.{at}.")
        spec = TransformerEncoderModelSpec(encoder)
        spec.config.layer_norm_epsilon = config.get("layer_norm_eps", 1e-12)
        # Texts come as ids; the runtime only wants as many different words as there are rows.
        spec.register_vocabulary([str(row) for row in range(len(self._weights[_WORDS]))])
        return spec

    def _embeddings(self, encoder: Any) -> None:
        positions = self._weights["embeddings.position_embeddings.weight"]
        if self._names.counts_from_padding:
            positions = positions[int(self._config["pad_token_id"]) + 1 :]
        if self._names.typed:
            # Every token is of the first type, so its row can be added once and for all.
            positions = positions + self._weights["embeddings.token_type_embeddings.weight"][0]
        encoder.scale_embeddings = False
        encoder.embeddings[0].weight = self._weights[_WORDS]
        encoder.position_encodings.encodings = positions
        self._norm(encoder.layernorm_embedding, "embeddings.LayerNorm")

    def _layer(self, layer: Any, prefix: str) -> None:
        names = self._names
        attention, widening = layer.self_attention, layer.ffn
        parts = [prefix + name for name in names.projections]
        attention.linear[0].weight = np.concatenate([self._weights[f"{p}.weight"] for p in parts])
        attention.linear[0].bias = np.concatenate([self._weights[f"{p}.bias"] for p in parts])
        self._linear(attention.linear[1], prefix + names.attended)
        self._norm(attention.layer_norm, prefix + names.attended_norm)
        self._linear(widening.linear_0, prefix + names.widened)
        self._linear(widening.linear_1, prefix + names.narrowed)
        self._norm(widening.layer_norm, prefix + names.narrowed_norm)

    def _linear(self, spec: Any, name: str) -> None:
        spec.weight = self._weights[f"{name}.weight"]
        spec.bias = self._weights[f"{name}.bias"]

    def _norm(self, spec: Any, name: str) -> None:
        spec.gamma = self._weights[f"{name}.weight"]
        spec.beta = self._weights[f"{name}.bias"]
