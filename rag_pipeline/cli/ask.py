"""`rag ask`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.output import print_json, say, writing
from rag_pipeline.cli.place import place_in

if TYPE_CHECKING:
    from rag_pipeline.defaults import Origins
    from rag_pipeline.generation.answer import Answer, AnswerStream
    from rag_pipeline.pipeline import Asking, RagPipeline


@click.command()
@click.argument("question", required=False)
@click.option("--session", metavar="NAME", help="The conversation that this belongs to.")
@click.option("--user", metavar="NAME", help="Who asks; the account's name if not given.")
@click.option("--parent", metavar="PROMPT_ID", help="The exchange that this follows.")
@click.option("--application", metavar="NAME", help="The program that asks.")
@click.option("--category", metavar="NAME", help="What it belongs to, on record.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="To find it again; repeatable.")
@click.option(
    "--origin",
    type=click.Choice(["real", "synthetic", "both"]),
    default="real",
    show_default=True,
    help="Which documents it may be answered from.",
)
@click.option("--template", metavar="NAME[@VERSION]", help="Of `rag prompts list`.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Asked again with the same KEY, the recorded answer is given.",
)
@click.option(
    "--extractive", is_flag=True, help="Answer with sentences of the documents; ask no model."
)
@click.option(
    "--strict/--marked",
    default=None,
    help="Leave out what nothing bears out, or mark it; as generation.strict says.",
)
@click.option("--stream", is_flag=True, help="Show the unchecked draft while it is written.")
@click.option(
    "--questions",
    type=ANY_PATH,
    help="JSONL of {_id, question or text}: answer them all into --answers.",
)
@click.option("--answers", type=ANY_PATH, help="Write one JSON answer a line, with _id.")
@in_collection
@as_json_option
@at_home
def ask(
    question: str | None,
    session: str | None,
    user: str | None,
    parent: str | None,
    application: str | None,
    category: str | None,
    tags: tuple[str, ...],
    origin: "Origins",
    template: str | None,
    idempotency_key: str | None,
    extractive: bool,
    strict: bool | None,
    stream: bool,
    questions: Path | None,
    answers: Path | None,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Answer QUESTION from the documents, with citations that were checked.

    \b
    Example:
      rag ask "How high is the lighthouse?"
    """
    if (question is None) == (questions is None):
        raise click.UsageError("give a QUESTION, or --questions with --answers")
    if (questions is None) != (answers is None):
        raise click.UsageError("--questions and --answers belong together")
    if questions is not None and idempotency_key is not None:
        raise click.UsageError("--idempotency-key stands for one QUESTION")
    about: Asking = {
        "session": session,
        "user": user,
        "parent_id": parent,
        "collection": collection,
        "extractive": extractive,
        "strict": strict,
        "application": application,
        "category": category,
        "tags": tags,
        "origins": origin,
        "template": template,
        "idempotency_key": idempotency_key,
    }
    with opened(home, database) as rag:
        if questions is not None and answers is not None:
            _answer_all(rag, questions, answers, about)
            return
        if stream and not as_json:
            answer = _shown_while_written(rag.ask_stream(question or "", **about))
        else:
            answer = rag.ask(question or "", **about)
    if as_json:
        from rag_pipeline.generation.answer_json import answer_json

        print_json(answer_json(answer))
    else:
        _print_answer(answer)


def _answer_all(rag: "RagPipeline", questions: Path, answers: Path, about: "Asking") -> None:
    from rag_pipeline.evaluation.trec import read_lines
    from rag_pipeline.generation.answer_json import answer_json

    asked = read_lines(questions, ("question", "text"))
    with writing(answers) as file:
        for question_id, text in asked:
            answer = {"_id": question_id, **answer_json(rag.ask(text, **about))}
            file.write(json.dumps(answer, ensure_ascii=False) + "\n")
            file.flush()
    say(f"{len(asked)} questions answered into {answers}")


def _shown_while_written(stream: "AnswerStream") -> "Answer":
    """Show the draft on stderr: only what was checked belongs on stdout."""
    while True:
        try:
            click.echo(next(stream), nl=False, err=True)
        except StopIteration as ended:
            click.echo("\n", err=True)
            answer: Answer = ended.value
            return answer


def _print_answer(answer: "Answer") -> None:
    if answer.note is not None:
        say(answer.note)
    click.echo(_marked(answer))
    sure = "" if answer.state == "no_evidence" else f"{answer.confidence:.0%} sure, "
    click.echo(
        f"\n[{answer.state}]  {sure}{answer.model}, {sum(answer.timings.values()):.1f} s,"
        f" prompt {answer.prompt_id}"
    )
    for number, citation in enumerate(answer.citations, start=1):
        quote = " ".join(citation.quote.split())
        place = place_in(
            citation.source,
            page=citation.page,
            headings=citation.headings,
            start=citation.start,
            end=citation.end,
        )
        written = " (synthetic)" if citation.origin == "synthetic" else ""
        click.echo(f"  {number}. {place}{written}")
        click.echo(f"     “{quote}”")


def _marked(answer: "Answer") -> str:
    """The text, with what nothing bears out in brackets that say so."""
    text = answer.text
    for start, end in reversed(answer.unsupported):
        text = f"{text[:start]}[unsupported: {text[start:end]}]{text[end:]}"
    return text
