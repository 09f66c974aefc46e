"""What the tools take: what a model may send, checked before anything is done with it."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag_pipeline.defaults import DEFAULT_COLLECTION

MAX_KEY = 2**63 - 1
MAX_CHARACTERS = 200_000


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("it holds a NUL character, which no text has; leave it out")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Key = Annotated[int, Field(ge=1, le=MAX_KEY)]


class Arguments(BaseModel):
    """What is not named here is refused: a model that guesses a name learns that it is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SearchDocuments(Arguments):
    """What is looked for, and where."""

    query: Annotated[
        Text,
        Field(min_length=1, max_length=10_000, description="A question, or words to look for."),
    ]
    limit: Annotated[int, Field(ge=1, le=50, description="How many passages, at most.")] = 6
    collection: Annotated[Name, Field(description="The collection to search.")] = DEFAULT_COLLECTION
    mode: Annotated[
        Literal["hybrid", "vector", "keyword"],
        Field(description="By meaning and by words (hybrid), or by one of them."),
    ] = "hybrid"
    where: Annotated[
        Text | None,
        Field(
            max_length=10_000,
            description="Search only what fulfils this, like: year >= 2020 and tag in ('a', 'b').",
        ),
    ] = None
    as_of: Annotated[
        Text | None,
        Field(max_length=100, description="The documents as they were then: an ISO date or time."),
    ] = None


class AskQuestion(Arguments):
    """A question, and the conversation that it belongs to."""

    question: Annotated[
        Text, Field(min_length=1, max_length=10_000, description="What is to be answered.")
    ]
    collection: Annotated[Name, Field(description="Where the answer is looked for.")] = (
        DEFAULT_COLLECTION
    )
    session: Annotated[
        Name | None, Field(description="The conversation that this belongs to; any name.")
    ] = None
    parent_id: Annotated[
        Name | None, Field(description="The prompt_id of the exchange that this follows.")
    ] = None
    extractive: Annotated[
        bool, Field(description="Answer with sentences of the documents, and ask no model.")
    ] = False


class GetDocument(Arguments):
    """Which document, and which part of it."""

    document_id: Annotated[Key | None, Field(description="As a search or a citation has it.")] = (
        None
    )
    external_id: Annotated[
        Annotated[Text, Field(min_length=1, max_length=2_000)] | None,
        Field(description="The id that its source gives it, instead of document_id."),
    ] = None
    collection: Annotated[Name, Field(description="Where an external_id is looked up.")] = (
        DEFAULT_COLLECTION
    )
    start: Annotated[
        int, Field(ge=0, le=MAX_KEY, description="Where to begin, in Unicode code points.")
    ] = 0
    characters: Annotated[
        int, Field(ge=1, le=MAX_CHARACTERS, description="How much of the text, at most.")
    ] = 20_000

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.document_id is None) == (self.external_id is None):
            raise ValueError("give document_id or external_id, one of the two")
        return self


class SearchHistory(Arguments):
    """Which exchanges are listed."""

    words: Annotated[
        Text, Field(max_length=1_000, description="All of them stand in the question or answer.")
    ] = ""
    user: Annotated[Name | None, Field(description="Only what this user asked.")] = None
    session: Annotated[Name | None, Field(description="Only of this conversation.")] = None
    state: Annotated[
        Literal["grounded", "partial", "no_evidence"] | None,
        Field(description="Only answers that came out like this."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=200, description="How many, newest first.")] = 20


class AddDocument(Arguments):
    """A document as its text."""

    external_id: Annotated[
        Text,
        Field(
            min_length=1,
            max_length=2_000,
            description="Its id: the same id later replaces the document.",
        ),
    ]
    text: Annotated[Text, Field(min_length=1, max_length=2_000_000, description="All of it.")]
    title: Annotated[Text, Field(max_length=2_000, description="What it is called.")] = ""
    metadata: Annotated[
        dict[str, Any],
        Field(default_factory=dict, description="What filters may ask for, like {'year': 2024}."),
    ]
    collection: Annotated[Name, Field(description="Where it is kept; made if need be.")] = (
        DEFAULT_COLLECTION
    )


def first_fault(error: ValidationError) -> str:
    """What is wrong with some arguments, in one sentence."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))
    said = found["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
