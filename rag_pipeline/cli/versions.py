"""`rag models versions`, and what else is done with registered models."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_pipeline.pipeline import RagPipeline
    from storage.versions.values import Activation, DatasetVersion, ModelKind, ModelVersion

_KINDS = ("embedder", "generator", "reranker", "reward", "synthetic")
_MEGABYTE = 1_000_000
because = click.option("--because", metavar="TEXT", default="", help="Why, for the record.")


@click.command("versions")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(_KINDS), help="Only of this kind.")
@as_json_option
@at_home
def list_versions(
    name: str | None, kind: str | None, as_json: bool, home: Path | None, database: str | None
) -> None:
    """List the registered versions of models, or those of NAME, newest first.

    \b
    Example:
      rag models versions
    """
    with opened(home, database) as rag:
        found = rag.models.list(name=name, kind=kind)
    if as_json:
        from rag_pipeline.versions.as_json import model_json

        print_json([model_json(model) for model in found])
        return
    if not found:
        click.echo("no model was registered yet")
    for model in found:
        _print_line(model)


@click.command("show")
@click.argument("reference")
@as_json_option
@at_home
def show_version(reference: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show NAME@3, or the active version of NAME: files, metrics, and when it was active.

    \b
    Example:
      rag models show tuned@1
    """
    with opened(home, database) as rag:
        model = rag.models.show(reference)
        log = rag.models.activations(model.name)
        answers = rag.models.answers(model.reference)
    if as_json:
        from rag_pipeline.versions.as_json import activations_json, model_json

        print_json({**model_json(model), "answers": answers, "activations": activations_json(log)})
    else:
        _print_model(model, log, answers)


@click.command("register")
@click.argument("name")
@click.argument("source", type=ANY_PATH, required=False)
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What it is used as.")
@click.option("--link", metavar="URL", help="Instead of SOURCE: where it is kept.")
@click.option(
    "--keep",
    type=click.Choice(["file", "blob"]),
    default="file",
    show_default=True,
    help="In the home, or in the database.",
)
@click.option("--sha256", metavar="HEX", help="What the weights, or all files, must have.")
@click.option("--base", metavar="MODEL", help="What it was made of: minilm, version:NAME@1.")
@click.option("--dataset", metavar="NAME@N", help="What it was trained on.")
@click.option("--evaluated-on", metavar="NAME@N", help="What it was measured on.")
@click.option("--parameters", type=ANY_PATH, metavar="FILE", help="How it was trained, as JSON.")
@click.option("--metrics", type=ANY_PATH, metavar="FILE", help="What was measured, as JSON.")
@click.option("--seed", type=int, help="Of its training.")
@as_json_option
@at_home
def register_version(
    name: str,
    source: Path | None,
    kind: "ModelKind",
    link: str | None,
    keep: Literal["file", "blob"],
    sha256: str | None,
    base: str | None,
    dataset: str | None,
    evaluated_on: str | None,
    parameters: Path | None,
    metrics: Path | None,
    seed: int | None,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Register the model in SOURCE, a folder or file, as the next version of NAME; not yet active.

    \b
    Example:
      rag models register tuned models/tuned --kind embedder --base minilm
      rag models register tuned --kind generator --link https://models.example/tuned.gguf
    """
    if (source is None) == (link is None):
        raise click.UsageError("give either SOURCE or --link")
    with opened(home, database) as rag:
        if link is not None:
            model = rag.models.register_link(name, link, kind=kind, sha256=sha256, base=base)
        else:
            assert source is not None
            model = rag.models.register(
                name,
                source,
                kind=kind,
                keep=keep,
                sha256=sha256,
                base=base,
                dataset=_dataset(rag, dataset),
                evaluated_on=_dataset(rag, evaluated_on),
                parameters=_read(parameters),
                metrics=_read(metrics),
                seed=seed,
            )
    _print_result(model, as_json=as_json)


@click.command("activate")
@click.argument("reference")
@because
@as_json_option
@at_home
def activate_version(
    reference: str, because: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Make NAME@N what version:NAME means, once its files are checked.

    A program that runs goes on with the version that it started with.

    \b
    Example:
      rag models activate tuned@1 --because "better on the test set"
    """
    name, number = _exact(reference)
    with opened(home, database) as rag:
        model = rag.models.activate(name, number, reason=because)
    _print_result(model, as_json=as_json)


@click.command("rollback")
@click.argument("name")
@because
@as_json_option
@at_home
def roll_back(
    name: str, because: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Make the version of NAME active again that was before the one that is.

    \b
    Example:
      rag models rollback tuned --because "worse on real questions"
    """
    with opened(home, database) as rag:
        model = rag.models.rollback(name, reason=because)
    _print_result(model, as_json=as_json)


@click.command("retire")
@click.argument("reference")
@because
@as_json_option
@at_home
def retire_version(
    reference: str, because: str, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Never use NAME@N again; it stays on record.

    \b
    Example:
      rag models retire tuned@1 --because "trained on the wrong data"
    """
    name, number = _exact(reference)
    with opened(home, database) as rag:
        model = rag.models.retire(name, number, reason=because)
    _print_result(model, as_json=as_json)


@click.command("lineage")
@click.argument("reference")
@as_json_option
@at_home
def show_lineage(reference: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show where NAME@N comes from: its base, its data sets, and what those were made of.

    \b
    Example:
      rag models lineage tuned@1
    """
    with opened(home, database) as rag:
        tree = rag.models.lineage(reference)
    if as_json:
        print_json(tree.as_json())
    else:
        click.echo("\n".join(tree.lines()))


@click.command("publish")
@click.argument("reference")
@click.option("--mlflow", "server", metavar="URL", required=True, help="Of an MLflow server.")
@at_home
def publish_version(reference: str, server: str, home: Path | None, database: str | None) -> None:
    """Put NAME@N on an MLflow server, with parameters and metrics; print its link there.

    \b
    Example:
      rag models publish tuned@1 --mlflow http://127.0.0.1:5000
    """
    with opened(home, database) as rag:
        click.echo(rag.models.publish(reference, server))


COMMANDS = (
    list_versions,
    show_version,
    register_version,
    activate_version,
    roll_back,
    retire_version,
    show_lineage,
    publish_version,
)
"""Sub-commands of `rag models`."""


def _exact(reference: str) -> tuple[str, int]:
    """NAME and N of NAME@N."""
    from storage.versions.values import VersionReference

    wanted = VersionReference.of(reference)
    if wanted.version is None:
        raise click.UsageError(f"say which version of {wanted.name}, such as {wanted.name}@1")
    return wanted.name, wanted.version


def _dataset(rag: "RagPipeline", reference: str | None) -> "DatasetVersion | None":
    return None if reference is None else rag.datasets.show(reference)


def _read(path: Path | None) -> Mapping[str, Any] | None:
    """A JSON object from a file."""
    import json

    if path is None:
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.FileError(str(path), hint=f"{error}; name a file of JSON") from error
    if not isinstance(found, dict):
        raise click.FileError(str(path), hint="it holds no JSON object")
    return found


def _print_result(model: "ModelVersion", *, as_json: bool) -> None:
    if as_json:
        from rag_pipeline.versions.as_json import model_json

        print_json(model_json(model))
    else:
        _print_line(model)


def _print_line(model: "ModelVersion") -> None:
    when = model.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    click.echo(
        f"{model.name + '@' + str(model.version):<24} {model.kind:<10} {model.state:<8} {when}"
        f"  weights {model.weights_sha256[:12]}…"
    )


def _print_model(model: "ModelVersion", log: "Sequence[Activation]", answers: int) -> None:
    from rag_pipeline.versions.as_json import size_bytes

    place = model.location or {"file": "the home", "blob": "the database"}[model.storage]
    click.echo(f"model       {model.name}@{model.version}, {model.kind}, {model.state}")
    click.echo(f"base        {model.base or '–'}")
    click.echo(f"weights     sha256 {model.weights_sha256}")
    click.echo(
        f"files       {len(model.files)}, {size_bytes(model) / _MEGABYTE:.1f} MB, in {place}"
    )
    for role, dataset in model.datasets:
        click.echo(f"{role.replace('_', ' '):<12}{dataset}")
    for key, value in {**model.parameters, "seed": model.seed, **model.metrics}.items():
        click.echo(f"  {key}: {value}")
    click.echo(f"answers     {answers} on record")
    for one in log:
        version = "none" if one.version is None else f"@{one.version}"
        when = one.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        reason = f": {one.reason}" if one.reason else ""
        click.echo(f"{one.action:<11} {when}  {version} by {one.user}{reason}")
