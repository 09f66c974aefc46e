"""What can go wrong between a question and its answer, as a tree.

RagError
├── SettingsError             a setting is unknown, contradictory or out of range
├── TemplateError             a prompt template can't be read or can't be used
├── QueryError                a question or a limit that can't be searched for
├── HistoryError              an exchange can't be replayed, or a file is no history
│                                                          (history/errors.py)
├── DatasetError              a data set can't be made or written          (datasets/errors.py)
├── RegistryError             MLflow or DVC is not here, or refuses        (versions/errors.py)
├── ArgumentError             LangChain handed over what can't be used
│                                               (integrations/langchain/errors.py)
├── ServiceError              a request that can't be served as it is       (service/errors.py)
├── EvaluationError           judgments, a run or a criterion can't be used (evaluation/errors.py)
├── TuningError               too few judged queries to fit a ranking on    (retrieval/errors.py)
├── ExamplesError             there is nothing, or too little, to train on     (tuning/errors.py)
├── SyntheticError            a table can't be learnt, or drawn as was asked (synthetic/errors.py)
│   ├── TableError                what was given is no table of records
│   ├── PictureError              no pictures that can be learnt from together
│   └── ModelFileError            a file of a generator is damaged or foreign
└── ModelError
    ├── GenerationError       a language model can't take a prompt or did not finish
    │   ├── ContextLengthError     a prompt has more tokens than it reads
    │   └── GeneratorUnavailableError  it can't be reached now, or its weights can't be used
    ├── GeneratorRefusedError a server does not take our key, or has no such model
    ├── RerankerError         a reranker's model can't be read or can't rank (retrieval/errors.py)
    ├── TrainingError         a model can't be trained so, or it broke off (training/errors.py)
    ├── WeightsMissingError   the weights of a model are not on this machine   (weights/errors.py)
    ├── WeightsDamagedError   a file of a model is not what it was             (weights/errors.py)
    └── PullError             weights could not be fetched or converted        (weights/errors.py)
"""

from typing import ClassVar


class RagError(Exception):
    """The root of everything that `rag_pipeline` raises on purpose."""

    retryable: ClassVar[bool] = False


class SettingsError(RagError):
    """A setting is unknown, contradicts another or is out of range."""


class QueryError(RagError):
    """A question is empty or too long, or a limit is out of range."""


class TemplateError(RagError):
    """A prompt template lacks a part, or has a placeholder that nothing goes into."""


class ModelError(RagError):
    """A model can't be had or can't be used."""


class GenerationError(ModelError):
    """A language model can't take a prompt or did not finish an answer."""


class ContextLengthError(GenerationError):
    """A prompt has more tokens than a language model reads."""


class GeneratorUnavailableError(GenerationError):
    """A language model can't be reached, is overloaded, or its weights can't be used."""

    retryable: ClassVar[bool] = True


class GeneratorRefusedError(ModelError):
    """A server does not take our key, or has no such model: the settings must be corrected."""
