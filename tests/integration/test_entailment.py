"""An entailment model in a local folder, run for real: its weights are few and random."""

from pathlib import Path

import pytest
from support.passages import bag_of_words, passage
from support.tiny_encoder import write_encoder_folder

from rag_pipeline.errors import ModelError
from rag_pipeline.generation.checking import supported
from rag_pipeline.generation.entailment import EntailmentClassifier
from rag_pipeline.generation.grounding import ground, only_entailed

LABELS = ("contradiction", "entailment", "neutral")
HARBOUR = passage("The old harbour was dredged in 1874. Its master was Johanna Lindqvist.")


def write_classifier(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    write_encoder_folder(folder)
    config = AutoConfig.from_pretrained(folder, num_labels=len(labels))
    config.id2label = dict(enumerate(labels))
    torch.manual_seed(5)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    for leftover in ("modules.json", "sentence_bert_config.json"):
        (folder / leftover).unlink()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("models") / "nli")


def test_chances_come_one_a_pair_from_the_output_for_entailment(folder: Path) -> None:
    pairs = [("The harbour was dredged.", "It was dredged."), ("a b c", "d"), ("x", "x")]
    found = EntailmentClassifier(folder).entailed(pairs)
    assert len(found) == 3
    assert all(0 < chance < 1 for chance in found)
    assert EntailmentClassifier(folder).entailed(pairs[::-1])[::-1] == pytest.approx(found)
    assert EntailmentClassifier(folder).entailed([]) == []


@pytest.mark.parametrize("labels", [("yes", "no"), ("entailment",)])
def test_a_model_that_does_not_tell_entailment_is_refused(tmp_path: Path, labels) -> None:
    folder = write_classifier(tmp_path / "other", labels)
    with pytest.raises(ModelError, match="needs an output named entailment"):
        EntailmentClassifier(folder).entailed([("a", "b")])


def test_what_is_no_model_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks config\.json.*generation\.entailment"):
        EntailmentClassifier(tmp_path).entailed([("a", "b")])
    folder = write_classifier(tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="can't be loaded"):
        EntailmentClassifier(folder).entailed([("a", "b")])


class Doubting:
    """Entails nothing that has one of the words that it doubts."""

    def __init__(self, *doubted: str) -> None:
        self.doubted = doubted

    def entailed(self, pairs):
        return [0.1 if any(word in claim for word in self.doubted) else 0.9 for _, claim in pairs]


def test_a_sentence_that_its_source_does_not_entail_has_no_support() -> None:
    draft = "The old harbour was dredged in 1874. Its master was Johanna Lindqvist."
    whole = ground(draft, question="What of the harbour?", passages=[HARBOUR])
    assert whole.state == "grounded"
    found = only_entailed(whole, Doubting("Johanna"))
    assert [one.standing for one in found.sentences] == ["supported", "unsupported"]
    assert len(found.citations) == 1
    assert only_entailed(whole, Doubting()) == whole


def test_a_draft_that_is_not_entailed_gives_way_to_the_source_itself() -> None:
    asked = "When was the old harbour dredged?"
    drafted = supported(
        "In 1874 the old harbour was dredged.",
        question=asked,
        passages=[HARBOUR],
        embed=bag_of_words,
        entailment=Doubting("In 1874"),
    )
    assert drafted.answer == "The old harbour was dredged in 1874."


@pytest.mark.parametrize(("is_strict", "said"), [(True, 1), (False, 2)])
def test_sentences_without_support_are_left_out_or_stay(is_strict: bool, said: int) -> None:
    found = supported(
        "The old harbour was dredged in 1874. Pirates of Zanzibar stole all of its gold.",
        question="When was the old harbour dredged?",
        passages=[HARBOUR],
        embed=bag_of_words,
        is_strict=is_strict,
    )
    assert len(found.sentences) == said
    assert len(found.citations) == 1
