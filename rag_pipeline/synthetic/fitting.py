"""`rag synth fit`: a generator of a set's records, kept as a version.

It learns the real records of the training split; what is held out judges it, then and whenever
records are drawn. A version is registered whole or not at all, and a fit that was broken off goes
on where it was.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from rag_pipeline.composition import Composition
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.fitting_report import LARGEST_BLOB, Fitted, FitWanted
from rag_pipeline.synthetic.generator import Generator, check_seed
from rag_pipeline.synthetic.judging.report import training_curve
from rag_pipeline.synthetic.kinds import count_of, kind_of
from rag_pipeline.synthetic.methods import (
    DEFAULT_OF,
    default_method,
    method,
    methods,
    settings_of,
)
from rag_pipeline.synthetic.record_tables import (
    SetTables,
    constraints_on,
    dataset_of,
    schema_of,
    set_tables,
)
from rag_pipeline.synthetic.saved import save_generator
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.loss_curve import check_loss_curve, draw_loss_curve
from rag_pipeline.training.progress import Progress, ignore
from rag_pipeline.training.workplace import alone, result_folder
from rag_pipeline.versions.errors import RegistryError
from rag_pipeline.versions.mlflow import check_server, publish
from rag_pipeline.versions.resolve import checked_folder
from storage.errors import NotFoundError
from storage.record_sets.values import RecordSet, WantedOrigin
from storage.versions.values import ModelVersion, checked_name

if TYPE_CHECKING:
    from rag_pipeline.training.loop import Trained

CHECKPOINT = "synthetic.safetensors"
"""In the folder of a training: how far it has come."""
_DEEPEST = 1
_MEASURE = "validation"
_MOST_COMPARED = 2_000
"""Records, or series, that are drawn to say at once how good it is."""
_COMMON = {"steps"}
"""Settings that say nothing of a method."""
_FORM = 1
"""Raised when the same records and settings give other weights."""


def fit(
    parts: Composition,
    wanted: FitWanted,
    *,
    observe: Callable[[Progress], None] = ignore,
    tell: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Learn a set of records, and register what came of it.

    Raises `SyntheticError`, `TrainingError`, `NotFoundError`, and `StorageError` where the disk
    takes no more; then nothing is registered. `RegistryError` says that the version, which is
    registered by then, could not be linked.
    """
    run = _Run(parts, wanted, observe, tell)
    run.check()
    tables = run.tables()
    run = run.decided(tables)
    with alone(parts.settings.home, wanted.model_name) as folder:
        checkpoints = CheckpointFile(path=folder / CHECKPOINT, fingerprint=run.fingerprint(tables))
        tell(f"learning {run.told(tables.training, tables)} by {run.method}")
        generator, trained = run.fit(tables, checkpoints)
        with result_folder(folder) as result:
            model, found = run.registered(generator, trained, tables, result)
        checkpoints.remove()
    if wanted.plot is not None:
        run.draw(wanted.plot, trained)
    return Fitted(
        model=model,
        method=run.method,
        trained=trained,
        nearness=found,
        records=len(tables.training),
        series=run.series(tables),
        link=run.published(model),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps of one fit."""

    parts: Composition
    wanted: FitWanted
    observe: Callable[[Progress], None]
    tell: Callable[[str], None]

    @property
    def method(self) -> str:
        return "table/constrained" if self.constraints else self.chosen

    @property
    def chosen(self) -> str:
        """What learns; where constraints are declared, all that it draws is held to them."""
        kind = kind_of(schema_of(self.record_set))
        given = self.wanted.method or DEFAULT_OF[kind]
        found = given if "/" in given else f"{kind}/{given}"
        if method(found).method.partition("/")[0] != kind:
            raise SyntheticError(
                f"{found} does not learn what {self.wanted.name!r} holds: give one of"
                f" {', '.join(methods(kind))}"
            )
        return found

    @property
    def record_set(self) -> RecordSet:
        return self.parts.record_sets.get(self.wanted.name)

    @property
    def constraints(self) -> tuple[str, ...]:
        return constraints_on(self.record_set)

    @property
    def settings(self) -> Any:
        """Of the method. Raises `SyntheticError` for what it can't be set to."""
        own = settings_of(self.chosen, {**self.wanted.settings, **self._layout})
        if not self.constraints:
            return own
        given = {"method": self.chosen, "settings": asdict(own)}
        return settings_of("table/constrained", {"constraints": self.constraints, **given})

    @property
    def _layout(self) -> dict[str, str | None]:
        """What the set says of its series, which nobody is asked twice."""
        schema = schema_of(self.record_set)
        if schema.with_role("series") is None:
            return {}
        found = {"key": schema.with_role("series"), "time": schema.with_role("time")}
        for name in found.keys() & self.wanted.settings.keys():
            raise SyntheticError(
                f"{self.wanted.name!r} says itself what the {name} of its series is: leave out"
                f" --set {name}"
            )
        return found

    def check(self) -> None:
        """Raise for all that can be refused before any work is."""
        wanted = self.wanted
        if not wanted.principal.is_owner:
            raise NotFoundError(f"there is no set of records {wanted.name!r} for you")
        check_seed(wanted.fitting.seed)
        _ = self.settings
        for known in self.parts.versions.models(name=checked_name(wanted.model_name))[:1]:
            if known.kind != "synthetic":
                raise SyntheticError(
                    f"{wanted.model_name!r} names versions of a {known.kind}: give another --name"
                )
        if wanted.plot is not None:
            check_loss_curve(wanted.plot)
        if wanted.link is not None:
            check_server(wanted.link)

    def tables(self) -> SetTables:
        """What is learnt and what is held out, if it can be learnt so."""
        wanted = self.wanted
        learns: WantedOrigin = "both" if wanted.allow_synthetic_parents else "real"
        tables = set_tables(self.parts, wanted.name, learns)
        if tables.depth > _DEEPEST:
            raise SyntheticError(
                f"{wanted.name!r} holds records whose generator learnt synthetic ones itself:"
                " delete their batches, or learn the real ones alone"
            )
        count, kind = count_of(tables.kind, tables.training), tables.kind
        if count < kind.fewest and not wanted.allow_few:
            raise SyntheticError(
                f"{wanted.name!r} has {count} {kind.unit} to learn from: below {kind.fewest} they"
                " are learnt by heart; load more, or say --allow-few"
            )
        if wanted.target is not None:
            tables.schema.column(wanted.target)
        return tables

    def decided(self, tables: SetTables) -> Self:
        """With the method that fits the records best, unless somebody asks for one, or sets what
        the default alone has, or declares constraints: these are kept best while that one draws."""
        wanted = self.wanted
        if wanted.method or wanted.settings.keys() - _COMMON or self.constraints:
            return self
        best = default_method(tables.kind.name, tables.training)
        return replace(self, wanted=replace(wanted, method=best))

    def fingerprint(self, tables: SetTables) -> str:
        """The same where the same steps would be taken."""
        about = {
            "form": _FORM,
            "records": tables.sha256,
            "method": self.method,
            "parameters": self.parameters(tables),
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def parameters(self, tables: SetTables) -> dict[str, Any]:
        """What the weights depend on, and whose they are."""
        wanted = self.wanted
        return {
            "method": self.method,
            "settings": asdict(self.settings),
            "seed": wanted.fitting.seed,
            "device": wanted.fitting.device,
            "budget_s": wanted.fitting.budget_s,
            "threads": wanted.fitting.threads,
            "set": wanted.name,
            "schema_sha256": tables.schema.sha256,
            "records": len(tables.training),
            **({} if self.series(tables) is None else {"series": self.series(tables)}),
            "depth": tables.depth,
            "target": wanted.target,
        }

    def series(self, tables: SetTables) -> int | None:
        """How many are learnt from, where records make series."""
        return count_of(tables.kind, tables.training) if tables.kind.name == "series" else None

    def told(self, table: Table, tables: SetTables) -> str:
        """How much that is, in words."""
        said = f"{len(table)} records"
        return f"{said} of {count_of(tables.kind, table)} series" if self.series(tables) else said

    def fit(self, tables: SetTables, checkpoints: CheckpointFile) -> tuple[Generator, "Trained"]:
        """Learn the training split."""
        fitting = replace(self.wanted.fitting, checkpoints=checkpoints, observe=self.observe)
        fitted: tuple[Generator, Trained] = method(self.method).fit(  # type: ignore[attr-defined]
            tables.kind.learnable(tables.training), self.settings, fitting
        )
        return fitted

    def registered(
        self, generator: Generator, trained: "Trained", tables: SetTables, folder: Path
    ) -> tuple[ModelVersion, Mapping[str, float]]:
        """A version of it, with how near what it draws comes to what is held out."""
        wanted = self.wanted
        self.tell(f"comparing what it draws with {self.told(tables.held_out, tables)} held out")
        count = min(count_of(tables.kind, tables.held_out), _MOST_COMPARED)
        drawn = tables.kind.drawn(generator, count, {}, seed=wanted.fitting.seed)
        found = tables.kind.nearness(tables.training, tables.held_out, drawn)
        _save(generator, folder)
        model = self.parts.versions.add_model(
            wanted.model_name,
            kind="synthetic",
            folder=folder,
            keep=wanted.keep or _place(folder),
            dataset=dataset_of(self.parts, tables),
            parameters=self.parameters(tables),
            metrics={
                **found,
                "training": trained.as_json(),
                "curve": training_curve(trained.losses, trained.validations, measure=_MEASURE),
            },
            seed=wanted.fitting.seed,
        )
        if model.state == "retired":
            raise SyntheticError(
                f"what was learnt is {model.reference} again, which is retired: give another --seed"
                " or --name"
            )
        return model, found

    def published(self, model: ModelVersion) -> str | None:
        """Its link on the MLflow server, if it is wanted on one."""
        if self.wanted.link is None:
            return None
        folder = checked_folder(model, self.parts.versions, self.parts.weights)
        try:
            return publish(model, folder, self.wanted.link)
        except RegistryError as error:
            name = f"{model.name}@{model.version}"
            raise RegistryError(
                f"{name} is registered, but not linked: {error}; try again by"
                f" `rag models publish {name} --mlflow {self.wanted.link}`"
            ) from error

    def draw(self, path: Path, trained: "Trained") -> None:
        draw_loss_curve(
            path,
            trained.losses,
            trained.validations,
            title=f"{self.wanted.model_name}: {self.method}",
            measure=_MEASURE,
        )


def _place(folder: Path) -> Literal["blob", "file"]:
    size = sum(path.stat().st_size for path in folder.iterdir())
    return "blob" if size <= LARGEST_BLOB else "file"


def _save(generator: Generator, folder: Path) -> None:
    """Raise `TrainingError` where the disk takes no more."""
    try:
        save_generator(generator, folder)
    except OSError as error:
        raise TrainingError(
            f"the generator can't be written to {folder}: {error}; make room, and run it again: it"
            " goes on from its last checkpoint"
        ) from error
