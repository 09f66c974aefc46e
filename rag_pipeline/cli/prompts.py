"""`rag prompts`"""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, opened
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from storage.prompts.templates import StoredTemplate


@click.group()
def prompts() -> None:
    """Keep what models are told around passages and questions: templates, named and versioned."""


@prompts.command("list")
@as_json_option
@at_home
def list_templates(as_json: bool, home: Path | None, database: str | None) -> None:
    """List all versions of all templates, the newest of each name first.

    \b
    Example:
      rag prompts list
    """
    with opened(home, database) as rag:
        found = rag.templates.all()
        standing = rag.settings.generation.template
    if as_json:
        print_json([_as_json(template) for template in found])
        return
    click.echo(f"{'default':<24}  comes with this program{_mark('default', standing)}")
    for template in found:
        name = f"{template.name}@{template.version}"
        when = template.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        newest = template is next(one for one in found if one.name == template.name)
        answers = _mark(name, standing) or (_mark(template.name, standing) if newest else "")
        click.echo(f"{name:<24}  {when}  {template.sha256[:12]}{answers}")


@prompts.command("show")
@click.argument("template")
@as_json_option
@at_home
def show_template(template: str, as_json: bool, home: Path | None, database: str | None) -> None:
    """Show TEMPLATE, given as NAME or NAME@VERSION, as a file that `rag prompts add` reads.

    \b
    Example:
      rag prompts show default
    """
    from rag_pipeline.generation.templates import DEFAULT, as_toml

    with opened(home, database) as rag:
        text = rag.templates.text(template)
        found = None if template == DEFAULT else rag.templates.stored(template)
    if not as_json:
        click.echo(as_toml(text), nl=False)
        return
    said = {"system": text.system, "question": text.question, "lead_in": text.lead_in}
    print_json(({"name": DEFAULT, "version": None} if found is None else _as_json(found)) | said)


@prompts.command("add")
@click.argument("name")
@click.option(
    "--from",
    "path",
    type=ANY_PATH,
    required=True,
    help="TOML with system, question and lead_in; any other file is the question's turn alone.",
)
@as_json_option
@at_home
def add_template(
    name: str, path: Path, as_json: bool, home: Path | None, database: str | None
) -> None:
    """Add a version of the template NAME; the same text twice is one version.

    {text} and {question} in the question say where the passages and what is asked go.

    \b
    Example:
      rag prompts add terse --from terse.toml
    """
    from rag_pipeline.generation.templates import read_template

    with opened(home, database) as rag:
        added = rag.templates.add(name, read_template(path))
    if as_json:
        print_json(_as_json(added))
    else:
        click.echo(f"{added.name}@{added.version}  {added.sha256[:12]}")


@prompts.command("diff")
@click.argument("before")
@click.argument("after")
@at_home
def diff_templates(before: str, after: str, home: Path | None, database: str | None) -> None:
    """Show what changed from one template to another; nothing if they say the same.

    \b
    Example:
      rag prompts diff terse@1 terse@2
    """
    from rag_pipeline.generation.templates import as_toml

    with opened(home, database) as rag:
        old, new = (as_toml(rag.templates.text(name)).splitlines() for name in (before, after))
    for line in difflib.unified_diff(old, new, before, after, lineterm="", n=1):
        click.echo(line)


def _as_json(template: "StoredTemplate") -> dict[str, Any]:
    return {
        "name": template.name,
        "version": template.version,
        "sha256": template.sha256,
        "created_at": template.created_at.isoformat(),
    }


def _mark(name: str, standing: str) -> str:
    return "  answers are asked for with it" if name == standing else ""
