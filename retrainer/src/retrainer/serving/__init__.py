"""Predictions of the model in production over HTTP.

In:    rows as JSON, CSV or Parquet.
Out:   predictions of one whole version, or a 4xx that names column and reason; metrics; a log of the rows.
Never: trains or decides; answers with a model whose digest is not the recorded one.
"""

from ._app import create_app, run

__all__ = ["create_app", "run"]
