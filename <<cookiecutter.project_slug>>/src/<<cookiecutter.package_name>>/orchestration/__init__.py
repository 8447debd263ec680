"""The steps of the flows as Prefect tasks, the messages, and what the server watches.

In:    the settings and parameters of a run.
Out:   what flows.py puts together: fetched tables, decisions, predictions, windows, messages.
Never: holds logic that a room without Prefect could hold; hides one failure behind another.
"""

from ._automations import register_automations
from ._common import (
    fetch,
    notify_outcome,
    parameter,
    settings_of_run,
    source_of_run,
    with_prefect_secrets,
)
from ._compare import compare_with_production, evaluate
from ._deployment import prepare_deployment, schedules
from ._messages import UNSENT, NotSent, by_hand_message, deliver, recipient, trial_message
from ._monitor import DRIFT_EVENT, check_drift, trigger_retrain
from ._parts import preprocess, separate_holdout, split
from ._record import notify, publish, record, save, show
from ._runner import ChosenRunner
from ._score import score_batches
from ._slack import set_up_slack
from ._train import choose_recipe, refit, train

__all__ = [
    "DRIFT_EVENT",
    "UNSENT",
    "ChosenRunner",
    "NotSent",
    "by_hand_message",
    "check_drift",
    "choose_recipe",
    "compare_with_production",
    "deliver",
    "evaluate",
    "fetch",
    "notify",
    "notify_outcome",
    "parameter",
    "prepare_deployment",
    "preprocess",
    "publish",
    "recipient",
    "record",
    "refit",
    "register_automations",
    "save",
    "schedules",
    "score_batches",
    "separate_holdout",
    "set_up_slack",
    "settings_of_run",
    "show",
    "source_of_run",
    "split",
    "train",
    "trial_message",
    "trigger_retrain",
    "with_prefect_secrets",
]
