"""Embedding models of a few thousand random weights, as sentence-transformers leaves them."""

import json
from pathlib import Path
from typing import Any, Literal

Kind = Literal["bert", "roberta", "xlm-roberta", "distilbert", "mpnet"]
MAX_TOKENS = 64
_WIDTH = 64
_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write_encoder_folder(
    folder: Path, *, kind: Kind = "bert", pooling: str = "mean", seed: int = 3, **config: Any
) -> Path:
    """A folder with random weights of that `kind`; `config` goes to its configuration."""
    import torch
    from transformers import AutoModel

    folder.mkdir(parents=True, exist_ok=True)
    words = [*_MARKS, *map(chr, range(33, 127)), *(f"##{chr(n)}" for n in range(33, 127))]
    _write_tokenizer(folder, words)
    torch.manual_seed(seed)
    model = AutoModel.from_config(_configuration(kind, len(words), config))
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS})
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    _write(
        folder / "modules.json",
        [
            {
                "idx": at,
                "name": str(at),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for at, (path, kind) in enumerate(modules)
        ],
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": _WIDTH, "pooling_mode": pooling},
    )
    return folder


def _configuration(kind: Kind, words: int, given: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    sizes = {
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": MAX_TOKENS + 8,
        "layer_norm_eps": 1e-5,
    }
    if kind == "distilbert":
        sizes = {"dim": _WIDTH, "hidden_dim": 2 * _WIDTH, "n_layers": 2, "n_heads": 4}
    return AutoConfig.for_model(
        kind, vocab_size=words, pad_token_id=0, initializer_range=0.1, **{**sizes, **given}
    )


def _write_tokenizer(folder: Path, words: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(
        models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, marks)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=MAX_TOKENS,
    ).save_pretrained(folder)


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), "utf-8")
