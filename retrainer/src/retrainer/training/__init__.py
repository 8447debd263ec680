"""From the training part to a fitted pipeline.

In:    the inputs and target of the training part, and unfitted pipelines of models.py.
Out:   cleaning and encoding steps, folds, cross-validation scores, the best candidate, the answer without a model, and
       models: fitted pipelines with their contract and features.py, new ones, those of the registry, and the one in
       production, ready to predict.
Never: learns from the holdout; decides what goes to production.
"""

from ._alarms import leaking_columns, shared_entities
from ._baseline import Baseline, baseline
from ._candidates import EstimatorError, check_parameters, make_pipeline, nearest, translate_estimator_errors, tuned
from ._cleaning import Feature, MissingColumnsError, TableCleaner
from ._encoding import TextEncoder, TreeEncoder, categorical, linear_encoder, numbers, texts
from ._folds import FoldError, FoldInputs, cross_validate_scores, fold_scores, make_folds, mean_scores
from ._loading import (
    NoContractError,
    load_contract,
    load_evaluated_model,
    load_evaluated_rows,
    load_model,
    load_trained_rows,
    predict_with_version,
    task_mismatch,
)
from ._model import Model, code_of_steps, packages_of_steps
from ._production import Production, ProductionModel, production_model
from ._recipe import Recipe, best, check_classes, needs_probabilities, possible_thresholds, with_threshold
from ._threads import thread_budget, with_jobs
from ._trial import OtherPackagesError, example_files

__all__ = [
    "Baseline",
    "EstimatorError",
    "Feature",
    "FoldError",
    "FoldInputs",
    "MissingColumnsError",
    "Model",
    "NoContractError",
    "OtherPackagesError",
    "Production",
    "ProductionModel",
    "Recipe",
    "TableCleaner",
    "TextEncoder",
    "TreeEncoder",
    "baseline",
    "best",
    "categorical",
    "check_classes",
    "check_parameters",
    "code_of_steps",
    "cross_validate_scores",
    "example_files",
    "fold_scores",
    "leaking_columns",
    "linear_encoder",
    "load_contract",
    "load_evaluated_model",
    "load_evaluated_rows",
    "load_model",
    "load_trained_rows",
    "make_folds",
    "make_pipeline",
    "mean_scores",
    "nearest",
    "needs_probabilities",
    "numbers",
    "packages_of_steps",
    "possible_thresholds",
    "predict_with_version",
    "production_model",
    "shared_entities",
    "task_mismatch",
    "texts",
    "thread_budget",
    "translate_estimator_errors",
    "tuned",
    "with_jobs",
    "with_threshold",
]
