"""How answers are generated."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from rag_pipeline.generation.language_model import Sampling
from rag_pipeline.generation.loading import Dtype


class ServerSettings(BaseModel):
    """A generator on a server that speaks OpenAI's protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(default=None, min_length=1)
    """What the server calls it; None: the only one that it has."""
    api_key: SecretStr | None = None
    """Shown to the server, and to nobody else."""
    timeout_s: float = Field(default=60, gt=0)
    """How long the server may be silent before it is given up."""
    connect_s: float = Field(default=5, gt=0)
    """How long it may take to reach the server."""
    attempts: int = Field(default=3, ge=1)
    """How often it is asked while it can't be reached, or is too busy, before it has answered."""
    context_tokens: int | None = Field(default=None, ge=64)
    """The most tokens that prompt and answer may have together; None: what the server says, or
    4096 if it says nothing."""
    continues: bool = False
    """The server goes on with an answer that was begun for it, as vLLM does."""


class GenerationSettings(BaseModel):
    """What the model is shown, and how much it may write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = Field(default="default", min_length=1, max_length=220)
    """The prompt template, NAME or NAME@VERSION, of `rag prompts list`."""
    guard: bool = True
    """Passages that speak to a model are no evidence, are fenced where a model is shown them, and
    links, images and HTML that are not cited are taken out of answers."""
    rewrite: Literal["rules", "model", "off"] = "rules"
    """How a question that follows others is made to stand alone before it is searched for."""
    history_tokens: int = Field(default=0, ge=0)
    """Tokens of what was said before that the model is shown, at most. A question that stands alone
    needs none; a large model may understand it better with some."""
    risk: float = Field(default=0.05, gt=0, lt=1)
    """An answer is called grounded if at most this part of such answers is wrong."""
    certainty: float = Field(default=0.8, ge=0.5, lt=1)
    """How sure that must be, by what came true of the questions that were calibrated on."""
    answer_sentences: int = Field(default=1, ge=1, le=10)
    """Sentences that a draft may have. A small model's second one is rarely about the question."""
    entailment: Path | None = None
    """Folder of a classifier of natural language inference, as transformers saves it: a sentence
    that its source does not entail has no support. None: words, numbers and names decide."""
    strict: bool = True
    """Sentences of a draft that nothing bears out are left out; else they stay, and are marked."""
    passages: int = Field(default=5, ge=1)
    """Search results that count as evidence for an answer."""
    sentences: int = Field(default=4, ge=1)
    """Sentences of the evidence that the model is shown, at most."""
    shown_tokens: int = Field(default=800, ge=64)
    """Tokens of evidence that the model is shown, at most."""
    max_new_tokens: int = Field(default=96, ge=1)
    """Tokens that the model may write."""
    temperature: float = Field(default=0.0, ge=0)
    """0: always the likeliest next token, so that the same prompt gives the same answer."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Above temperature 0: draw only from the likeliest tokens that reach this probability."""
    seed: int = 0
    """Above temperature 0: the same seed draws the same tokens."""
    stop: tuple[str, ...] = ()
    """What the model writes ends before the first of these texts."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where a model of this machine runs: cpu, cuda or cuda:1; auto: on a GPU if there is one."""
    dtype: Dtype = "auto"
    """Of its weights in memory; auto: float32 on a CPU, the best half precision on a GPU."""
    threads: int | None = Field(default=None, ge=1)
    """Of one forward pass on a CPU; None: half of the processors, 8 at most."""
    server: ServerSettings = ServerSettings()

    @property
    def sampling(self) -> Sampling:
        """How the next token is chosen, unless whoever asks says otherwise."""
        return Sampling(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=self.stop,
        )
