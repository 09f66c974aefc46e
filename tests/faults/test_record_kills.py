"""Loading records, killed at any moment: a batch is there whole, or nothing of it is."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from storage import consistency
from storage.engine import Database
from storage.record_sets.sets import RecordSets
from storage.versions.registry import Versions

pytestmark = pytest.mark.slow
KILLS = 12
ROWS = 4_000
PROGRAM = """
import sys
from storage.engine import Database
from storage.record_sets.sets import RecordSets
from support.record_sets import SCHEMA, people, png

url, rows = sys.argv[1], int(sys.argv[2])
sets = RecordSets(Database(url))
print("ready", flush=True)
number = 0
while True:
    number += 1
    name = f"set-{number % 5}"
    named = people(rows, prefix=f"r{number}-")
    shown = ({**row, "image": png(n % 7)} for n, row in enumerate(named))
    schema = [*SCHEMA, {"name": "image", "kind": "image"}]
    if name in {found.name for found in sets.sets()}:
        batch = sets.add_real(name, shown, source=str(number))
        if number % 7 == 6:
            sets.delete_batch(batch.batch_id)
    else:
        sets.create_with(name, shown, source=str(number), schema=schema)
    print(name, flush=True)
"""


def _killed(url: str, after_s: float) -> int:
    """How many batches it said were there."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(ROWS)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        said = len(process.stdout.readlines())
    process.wait()
    return said


def test_a_killed_load_leaves_a_whole_batch_or_none(database_url: str) -> None:
    chance = random.Random(11)
    database = Database(database_url)
    sets, said = RecordSets(database), 0
    for _ in range(KILLS):
        said += _killed(database_url, chance.uniform(0, 2.5))
        assert consistency.database_differences(database, 0) == []
        for found in sets.sets():
            batches = sets.batches(found.name)
            # A set is made together with its first load, so that none is ever empty.
            assert batches
            assert {batch.records for batch in batches} == {ROWS}
            assert found.real == ROWS * len(batches)
            newest = Versions(database).dataset(str(batches[-1].dataset))
            assert newest.manifest["records"] >= ROWS
    assert said > 0
    assert sets.sets()
    database.close()
