"""Tables as they are found in public: pointing the project at one is enough for a promoted model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from churn.flows import retrain

from .conftest import ENV_PREFIX, forget

ROWS = 400


def churn(rng: np.random.Generator) -> tuple[str, str, str]:
    """Telco customers: an id, yes and no, a number column with blanks, categories of several words."""
    tenure = rng.integers(0, 72, size=ROWS)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], size=ROWS)
    monthly = rng.uniform(18, 118, size=ROWS).round(2)
    frame = pd.DataFrame(
        {
            "customerID": [f"{row:04}-ABCDE" for row in rng.permutation(ROWS)],
            "SeniorCitizen": rng.integers(0, 2, size=ROWS),
            "Partner": rng.choice(["Yes", "No"], size=ROWS),
            "tenure": tenure,
            "Contract": contract,
            "MonthlyCharges": monthly,
            "TotalCharges": np.where(tenure == 0, " ", (tenure * monthly).round(2).astype(str)),
            "Churn": np.where(tenure / 72 + (contract == "Two year") < rng.uniform(0, 1, size=ROWS), "Yes", "No"),
        }
    )
    return frame.to_csv(index=False), "Churn", "classification"


def wine(rng: np.random.Generator) -> tuple[str, str, str]:
    """Semicolons, quoted names with spaces, a score of whole numbers as the target of a regression."""
    frame = pd.DataFrame(rng.normal(size=(ROWS, 3)).round(3), columns=["fixed acidity", "residual sugar", "alcohol"])
    frame["quality"] = (5.5 + frame["alcohol"] - frame["fixed acidity"]).round().clip(3, 8).astype(int)
    return frame.to_csv(index=False, sep=";", quoting=2), "quality", "regression"


def income(rng: np.random.Generator) -> tuple[str, str, str]:
    """A space after each comma, also in the header, ? for missing, and a target with comparison signs."""
    age = rng.integers(17, 90, size=ROWS)
    sector = rng.choice(["Private", "Self-emp", "?"], size=ROWS)
    lines = ["age, workclass, native-country, income"]
    for one_age, one_sector in zip(age, sector, strict=True):
        more = one_age + 10 * (one_sector == "Private") + rng.normal(0, 5) > 50
        lines.append(f"{one_age}, {one_sector}, United-States, {'above' if more else 'at most'} 50K")
    return "\n".join(lines), "income", "classification"


def fraud(rng: np.random.Generator) -> tuple[str, str, str]:
    """TRUE and FALSE as target, dates with the day first, an unnamed index, a counter as id."""
    amount = rng.exponential(100, size=ROWS).round(2)
    when = pd.Timestamp("2025-06-01") + pd.to_timedelta(rng.integers(0, 200 * 24, size=ROWS), unit="h")
    night = np.asarray(when.hour < 8)
    frame = pd.DataFrame(
        {
            "transaction_id": range(100_000, 100_000 + ROWS),
            "when": when.strftime("%d/%m/%Y %H:%M"),
            "amount": amount,
            "is_fraud": np.where((amount > 60) & night, "TRUE", "FALSE"),
        }
    )
    return frame.to_csv(), "is_fraud", "classification"


def grades(rng: np.random.Generator) -> tuple[str, str, str]:
    """Classes called 1, 2 and 3, a column without a value, one with the same everywhere, tabs."""
    points = rng.uniform(0, 100, size=ROWS).round(1)
    frame = pd.DataFrame(
        {"points": points, "comment": "", "school": "north", "grade": 3 - (points > 50) - (points > 75)}
    )
    return frame.to_csv(index=False, sep="\t"), "grade", "classification"


def houses(rng: np.random.Generator) -> tuple[str, str, str]:
    """Decimal commas, text with umlauts in Latin-1, a street in every row another, prices with gaps."""
    area = rng.uniform(30, 200, size=ROWS).round(1)
    town = rng.choice(["Köln", "Münster", "Bonn"], size=ROWS)
    price = (area * 3 + 50 * (town == "Köln") + rng.normal(0, 5, size=ROWS)).round(1)
    frame = pd.DataFrame(
        {"Straße": [f"Weg {row} am Park" for row in range(ROWS)], "Fläche": area, "Ort": town, "Preis": price}
    )
    frame.loc[::17, "Preis"] = None
    return frame.to_csv(index=False, sep=";", decimal=","), "Preis", "regression"


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("look_alike", [churn, wine, income, fraud, grades, houses], ids=lambda make: make.__name__)
def test_a_table_promotes_without_touching_code(
    look_alike: Callable[[np.random.Generator], tuple[str, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text, target, problem_type = look_alike(np.random.default_rng(0))
    (tmp_path / "table.csv").write_bytes(text.encode("latin-1"))
    values = {
        "ROOT": str(tmp_path),
        "PROBLEM_TYPE": problem_type,
        "ESTIMATORS": '["hist_gradient_boosting"]',
        "DATA__SOURCE": "table.csv",
        "DATA__TARGET": target,
    }
    for name, value in values.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    forget()
    try:
        recorded = retrain()
    finally:
        forget()

    assert recorded["verdict"] == "promoted"
    quality = recorded["metrics"]["f1_score" if problem_type == "classification" else "r2"]
    assert quality > 0.7
