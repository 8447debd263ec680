"""From the training part to a fitted pipeline.

In:    the inputs and target of the training part, and unfitted pipelines of models.py.
Out:   cleaning and encoding steps, folds, cross-validation scores, the best candidate, and the answer without a model;
       the model in production, loaded and ready to predict.
Never: sees the holdout; decides what goes to production.
"""

from ._baseline import Baseline, baseline
from ._cleaning import MissingColumnsError, TableCleaner
from ._encoding import TextEncoder, TreeEncoder, linear_encoder
from ._folds import FoldError, best, cross_validate_score, fold_score, make_folds, mean_score
from ._production import Production, ProductionModel, production_model
from ._threads import thread_budget, with_jobs

__all__ = [
    "Baseline",
    "FoldError",
    "MissingColumnsError",
    "Production",
    "ProductionModel",
    "TableCleaner",
    "TextEncoder",
    "TreeEncoder",
    "baseline",
    "best",
    "cross_validate_score",
    "fold_score",
    "linear_encoder",
    "make_folds",
    "mean_score",
    "production_model",
    "thread_budget",
    "with_jobs",
]
