"""The suites of the services, which know of no engine, once more on Spark: guards, runs, versions, previews, rollback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = {
    "walk": "tests/server/services/test_walk.py",
    "corrections": "tests/server/services/corrections/test_loop.py",
    "refusals": "tests/server/services/corrections/test_refusals.py",
    "told version": "tests/server/services/corrections/test_told_version.py",
}
SMALL = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "spark.driver.memory": "1g"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_the_suites_of_the_services_pass_on_spark(
    needs_spark: None,  # noqa: ARG001 - skips
    suite: str,
    tmp_path: Path,
) -> None:
    """Not one test of them is left out."""
    root = HERE.parents[2]
    spark = {"ENGINE": "spark", "SPARK__MASTER": "local[2]", "SPARK__OPTIONS": json.dumps(SMALL)}
    environment = os.environ | {f"ANOMALYST_{name}": value for name, value in spark.items()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "pytest", "-p", "one_session", "-p", "no:cacheprovider", "-m", "not slow"]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'inner'}", suite],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
