"""What a trip's duration is, and what is known of a trip when it begins."""

import pandas as pd


def label(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the trips of 1 to 60 minutes, with their `duration` in minutes."""
    took = frame["lpep_dropoff_datetime"] - frame["lpep_pickup_datetime"]
    frame = frame.assign(duration=took.dt.total_seconds() / 60)
    return frame[frame["duration"].between(1, 60)]


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return where a trip goes, as one category `PU_DO` for each pair of zones, and how far."""
    zones = frame[["PULocationID", "DOLocationID"]].astype("str")
    return frame[["trip_distance"]].assign(PU_DO=zones["PULocationID"] + "_" + zones["DOLocationID"])
