"""Which generator writes, what is a mistake in the settings, and what answers go without."""

import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.embedding import WordEmbedder
from support.generator_server import GeneratorServer, generator_server
from support.pipelines import parts_of
from support.tiny_model import (
    GGUF_NAME,
    write_gguf,
    write_model_folder,
    write_seq2seq_folder,
)

from ingest.sandbox.readers import InProcessReader
from rag_pipeline.errors import (
    ContextLengthError,
    GenerationError,
    GeneratorRefusedError,
    SettingsError,
)
from rag_pipeline.generation.drafting import EXTRACTIVE
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import Sampling
from rag_pipeline.generation.seq2seq_model import Seq2SeqModel
from rag_pipeline.generation.transformers_model import TransformersModel
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.weights.catalogue import SMOLLM2
from rag_pipeline.weights.errors import WeightsMissingError

DREDGED = "The harbour of Ravenport was dredged in 1874."
HARBOUR = f"{DREDGED} The master of Ravenport was Johanna Lindqvist. The old pier is made of oak."
WHEN = "When was the harbour of Ravenport dredged?"
KEY = "sk-very-secret-0123456789"
INSTEAD = "The documents' own sentences answer instead."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeneratorServer]:
    with generator_server(None, tmp_path_factory.mktemp("log") / "log.jsonl") as running:
        yield running


def opened(home: Path, **settings: object) -> RagPipeline:
    """A pipeline that knows one document and has no weights in its cache."""
    rag = RagPipeline.open(home / "home", cache_dir=home / "cache", **settings)
    parts_of(rag).embedder = WordEmbedder(dimension=256)
    parts_of(rag).parser = InProcessReader(rag.settings.parsing)
    rag.ingest_records([{"_id": "harbour", "text": HARBOUR}], source="test")
    return rag


def served(server: GeneratorServer, home: Path, **settings: object) -> RagPipeline:
    given = {"model": "tiny", "context_tokens": 4096, "timeout_s": 60, "attempts": 1, **settings}
    return opened(home, generator=server.url, generation={"server": given})


def test_a_server_writes_the_answer_and_its_name_is_on_record(
    server: GeneratorServer, tmp_path: Path
) -> None:
    server.will("says:the harbour of Ravenport was dredged in 1874.")
    with served(server, tmp_path) as rag:
        answer = rag.ask(WHEN)
        record = rag.history.show(answer.prompt_id)
    assert (answer.text, answer.state, answer.note) == (DREDGED, "grounded", None)
    assert (answer.model, record.model) == ("tiny", "tiny")
    assert server.chats()[0]["body"]["messages"][-1]["role"] == "user"
    assert DREDGED in server.chats()[0]["body"]["messages"][-1]["content"]
    assert record.rendered.startswith('[{"content":')


@pytest.mark.parametrize(
    "failure",
    [
        "status:503",
        "raw:{nonsense",
        "cut:The harbour of Ravenport was",
    ],
)
def test_a_server_that_fails_or_breaks_off_leaves_the_answer_to_the_documents(
    server: GeneratorServer, tmp_path: Path, failure: str
) -> None:
    server.will(failure)
    with served(server, tmp_path) as rag:
        answer = rag.ask(WHEN)
        record = rag.history.show(answer.prompt_id)
    assert (answer.text, answer.state) == (DREDGED, "grounded")
    assert answer.note is not None
    assert answer.note.startswith(f"The generator's server at {server.url}")
    assert answer.note.endswith(INSTEAD)
    assert (record.status, record.model) == ("completed", "tiny")


def test_a_server_that_is_down_before_anything_is_known_of_it_is_no_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with opened(tmp_path, generator=url, generation={"server": {"attempts": 1}}) as rag:
            answer = rag.ask(WHEN)
            nothing = rag.ask("Which quantum coupling proves zebra symmetry?")
    assert (answer.text, answer.state, answer.model) == (DREDGED, "grounded", EXTRACTIVE)
    assert "can't be reached" in (answer.note or "")
    assert (nothing.state, nothing.model) == ("no_evidence", url)


@pytest.mark.parametrize(("failure", "said"), [("tells:401", "api_key"), ("status:404", "model")])
def test_a_server_that_refuses_us_is_a_mistake_that_is_raised_and_never_says_the_key(
    server: GeneratorServer,
    tmp_path: Path,
    failure: str,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.will(failure)
    with served(server, tmp_path, api_key=SecretStr(KEY)) as rag:
        with pytest.raises(GeneratorRefusedError, match=f"generation.server.{said}") as caught:
            rag.ask(WHEN)
        (record,) = rag.history.list()
        told = [str(caught.value), str(record), repr(rag.settings), rag.settings.model_dump_json()]
    assert record.status == "failed"
    assert not [text for text in [*told, caplog.text] if KEY in text]


def test_a_key_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_GENERATION__SERVER__API_KEY", KEY)
    with RagPipeline.open(tmp_path) as rag:
        key = rag.settings.generation.server.api_key
    assert key is not None
    assert key.get_secret_value() == KEY


def test_a_known_model_that_was_not_pulled_is_told_and_done_without(tmp_path: Path) -> None:
    with opened(tmp_path) as rag:
        answer = rag.ask(WHEN)
    assert (answer.text, answer.state, answer.model) == (DREDGED, "grounded", EXTRACTIVE)
    assert answer.note == (
        "The weights of 'smollm2' are not on this machine: run `rag models pull smollm2`. "
        + INSTEAD
    )


def test_a_packaged_model_that_is_damaged_is_told_and_done_without(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "models" / f"smollm2-{SMOLLM2.gguf_sha256[:12]}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"files": {"model.safetensors": "0"}}')
    (folder / "model.safetensors").write_bytes(b"not what it was")
    with opened(tmp_path) as rag:
        answer = rag.ask(WHEN)
    assert answer.text == DREDGED
    assert "is damaged" in (answer.note or "")
    assert "rag models pull smollm2" in (answer.note or "")


@pytest.mark.parametrize("generator", ["smollm3", "/no/such/folder", "model.gguf"])
def test_a_model_that_there_is_not_is_a_mistake_that_is_raised(
    tmp_path: Path, generator: str
) -> None:
    with opened(tmp_path, generator=generator) as rag:
        with pytest.raises(WeightsMissingError, match=re.escape(repr(generator))):
            rag.ask(WHEN)
        assert rag.ask(WHEN, extractive=True).text == DREDGED


def test_other_mistakes_in_the_name_of_a_generator_are_raised(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for generator, said in [
        ("minilm", "no model that writes"),
        (str(tmp_path / "empty"), "holds no weights"),
        (f"https://me:{KEY}@host/v1", "generation.server.api_key"),
    ]:
        with opened(tmp_path, generator=generator) as rag:
            with pytest.raises((SettingsError, WeightsMissingError), match=said) as caught:
                rag.ask(WHEN)
        assert KEY not in str(caught.value)


def test_a_folder_with_damaged_weights_is_told_and_done_without(tmp_path: Path) -> None:
    weights = write_model_folder(tmp_path / "model") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with opened(tmp_path, generator=str(tmp_path / "model")) as rag:
        answer = rag.ask(WHEN)
        record = rag.history.show(answer.prompt_id)
    assert (answer.text, answer.model, record.model) == (DREDGED, EXTRACTIVE, EXTRACTIVE)
    assert "can't be loaded from" in (answer.note or "")
    assert record.rendered == ""


def test_the_kind_of_model_in_a_folder_is_found_out(tmp_path: Path) -> None:
    write_model_folder(tmp_path / "llama")
    write_seq2seq_folder(tmp_path / "t5")
    settings = {"threads": 1, "device": "cpu", "dtype": "bfloat16", "max_new_tokens": 8}
    with opened(tmp_path, generator=str(tmp_path / "t5"), generation=settings) as rag:
        writer = parts_of(rag).language_model
        assert isinstance(writer, Seq2SeqModel)
        answer = rag.ask(WHEN)
        assert str(writer._ready().model.dtype) == "torch.bfloat16"
    assert (answer.text, answer.note, answer.model) == (DREDGED, None, str(tmp_path / "t5"))
    with opened(tmp_path, generator=str(tmp_path / "llama")) as rag:
        assert isinstance(parts_of(rag).language_model, TransformersModel)


def test_a_gguf_file_is_de_quantised_once_and_kept(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    (tmp_path / "model").mkdir()
    gguf = write_gguf(tmp_path / "model" / GGUF_NAME)
    kept: list[float] = []
    for name in (gguf, gguf.parent, gguf):
        with opened(tmp_path, generator=str(name)) as rag:
            assert parts_of(rag).language_model.count_tokens("the") == 2
            (folder,) = (tmp_path / "cache" / "converted").glob("gguf-*")
            kept.append(folder.stat().st_mtime)
    assert len({*kept}) == 1
    (folder / "model.safetensors").write_bytes(b"damaged")
    with opened(tmp_path, generator=str(gguf)) as rag:
        assert parts_of(rag).language_model.count_tokens("the") == 2
    assert folder.stat().st_mtime != kept[0]
    write_gguf(tmp_path / "model" / "second.gguf")
    with opened(tmp_path, generator=str(gguf.parent)) as rag:
        with pytest.raises(WeightsMissingError, match="holds 2 GGUF files"):
            rag.ask(WHEN)


def test_a_gguf_file_that_is_cut_short_is_told_and_done_without(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    gguf = write_gguf(tmp_path / GGUF_NAME)
    for content in (gguf.read_bytes()[:4000], b"GGUF"):
        gguf.write_bytes(content)
        with opened(tmp_path, generator=str(gguf)) as rag:
            answer = rag.ask(WHEN)
        assert answer.text == DREDGED
        assert "can't be read from" in (answer.note or "")
    assert [*(tmp_path / "cache" / "converted").glob("gguf-*")] == []


def test_a_program_brings_its_own_model(tmp_path: Path) -> None:
    mine = EchoModel()
    with opened(tmp_path, generator=EXTRACTIVE, language_model=mine) as rag:
        answer = rag.ask(WHEN)
        assert answer.model == "echo"
        assert rag.ask(WHEN, extractive=True).model == EXTRACTIVE
    with RagPipeline(rag.settings, language_model=mine) as again:
        assert parts_of(again).language_model is mine


def test_a_small_context_keeps_the_best_sentence_and_a_smaller_one_is_refused(
    tmp_path: Path,
) -> None:
    def words(context_tokens: int, max_new_tokens: int = 8) -> int:
        """Of the prompt that a model with such a context is shown."""
        model = EchoModel(context_tokens=context_tokens)
        sampling = Sampling(max_new_tokens=max_new_tokens)
        with opened(tmp_path, language_model=model, generation={"sentences": 3}) as rag:
            answer = rag.ask(WHEN, sampling=sampling)
            rendered = rag.history.show(answer.prompt_id).rendered
        assert DREDGED in " ".join(rendered.split())
        return model.count_tokens(rendered)

    whole = words(4096)
    for room in (whole, whole - 1, whole - 8):
        assert words(room + 8) <= room
    assert words(whole + 7) < whole
    # However much is to be written, the prompt has half of the context.
    assert words(whole * 2, max_new_tokens=100_000) == whole
    with pytest.raises(ContextLengthError, match="the question with one sentence has"):
        words(20)
    assert issubclass(ContextLengthError, GenerationError)
