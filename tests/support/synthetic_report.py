"""A report with all of its parts, of records whose columns have names that mean harm."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from support.sailors import sailors

from rag_pipeline.synthetic.judging.gate import thresholds, verdict
from rag_pipeline.synthetic.judging.judgement import judged
from rag_pipeline.synthetic.judging.report import picture_grid, report_of, training_curve
from rag_pipeline.synthetic.tables.table import Column, Schema, Table
from rag_pipeline.training.checkpoints import Validation

HARM = '"><script>document.title = "broken"</script><img src=x onerror="document.title=1">'
LONG = "a-column-whose-name-goes-on-" * 6 + "and-on"
RENAMED = {"trade": HARM, "town": LONG}


def report() -> dict[str, Any]:
    """Of few records, refused for some reasons and warned of for others."""
    train, holdout, drawn = (renamed(sailors(count, n)) for n, count in enumerate((300, 200, 200)))
    judgement = judged(train, holdout, drawn, target="pay", slices=(HARM,))
    limits = thresholds({"fewest_records": 100, "detection": 0.1, "distance_ratio_warning": 9})
    chance = np.random.default_rng(0)
    losses = (3 * np.exp(-np.arange(900) / 200) + chance.normal(0, 0.1, 900)).tolist()
    sheet = BytesIO()
    Image.fromarray(chance.integers(0, 255, (30, 90), dtype=np.uint8)).save(sheet, "PNG")
    return report_of(
        verdict(judgement, limits),
        judgement,
        provenance={"set": "sailors", "generator": "table/autoregressive", "seed": 3, "by": HARM},
        training=training_curve(
            losses, [Validation(0, -4.0), Validation(900, -1.0)], measure="nats a column"
        ),
        pictures=picture_grid({"fid": 3.5, "features": {"name": HARM}}, sheet.getvalue()),
        texts={"self_bleu": 0.25, "distinct_2": 0.75},
    )


def renamed(table: Table) -> Table:
    columns = table.schema.columns
    schema = Schema(
        columns=tuple(
            Column(name=RENAMED.get(one.name, one.name), kind=one.kind, decimals=one.decimals)
            for one in columns
        )
    )
    values = {RENAMED.get(name, name): values for name, values in table.values.items()}
    return Table(schema=schema, values=values)
