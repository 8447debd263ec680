"""The worked example: its answers, its features.py, a month to learn from and the next one held out."""

import shutil
from pathlib import Path

import yaml

from .conftest import TEMPLATE, Bake, Runner

EXAMPLE = TEMPLATE / "examples" / "nyc-taxi"
HOLDOUT = "data/green_tripdata_{as_of-1month:%Y-%m}.parquet"

# Trips of the columns the city publishes, among them some that end before they begin or take hours.
MONTHS = """
import numpy as np, pandas as pd
for month, rows in (("2021-01", 3000), ("2021-02", 1500)):
    rng = np.random.default_rng(int(month[-1]))
    begin = pd.Timestamp(month) + pd.to_timedelta(rng.integers(0, 28 * 86400, rows), unit="s")
    miles = rng.gamma(2, 1.5, rows).round(2)
    zones = rng.integers(1, 40, (2, rows))
    minutes = 3 + 4 * miles + zones[0] % 5 * 2 + rng.normal(0, 2, rows)
    minutes[:30], minutes[30:60] = -5, 300
    pd.DataFrame({
        "VendorID": rng.integers(1, 3, rows),
        "lpep_pickup_datetime": begin,
        "lpep_dropoff_datetime": begin + pd.to_timedelta((60 * minutes).round(), unit="s"),
        "PULocationID": zones[0],
        "DOLocationID": zones[1],
        "trip_distance": miles,
        "fare_amount": 3 + 2.5 * miles,
    }).to_parquet(f"data/green_tripdata_{month}.parquet")
"""


def test_a_month_to_learn_from_and_the_next_one_held_out(own_copy: Bake, runner: Runner) -> None:
    project = own_copy(**yaml.safe_load((EXAMPLE / "answers.yaml").read_text())["default_context"])
    shutil.copy(EXAMPLE / "features.py", project.source / "features.py")
    Path(project.path / "data").mkdir(exist_ok=True)
    runner.python(project, "-c", MONTHS)
    split = {"SPLIT__METHOD": "source", "SPLIT__SOURCE": HOLDOUT}

    facts = runner.command(project, "retrain", "--as-of", "2021-03-01", "--json", **split)
    assert facts["verdict"] == "promoted"
    # Noise of 2 minutes is what no model can know; knowing nothing at all would cost more than 8.
    assert 2 < facts["metrics"]["rmse"] < 4

    version = runner.command(project, "registry", "show", "--json")
    assert version["lineage"]["data"]["source"].endswith("green_tripdata_2021-01.parquet")
    # Below a minute or above an hour is out, in both months.
    assert version["lineage"]["rows"]["training"] <= 2940
    assert version["lineage"]["rows"]["holdout"] <= 1440

    message = runner.command(project, "retrain", "--as-of", "2021-04-01", code=1, **split)
    assert "green_tripdata_2021-03.parquet" in message, "not published yet"
    assert "does not exist" in message


def test_the_features_file_is_as_short_as_its_readme_is_true() -> None:
    assert len((EXAMPLE / "features.py").read_text().splitlines()) <= 25
    assert HOLDOUT in (EXAMPLE / "README.md").read_text()
