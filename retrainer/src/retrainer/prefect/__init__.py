"""What the flows of a project need of Prefect, beyond what its documentation shows.

In:    a project, and the present run.
Out:   its settings and source, keys and conditions for tasks, work side by side, messages, deployments, and what the
       server watches.
Never: holds logic that a room without Prefect could hold; uses what Prefect does not document; hides one failure
       behind another.
"""

from ._automations import DRIFT_EVENT, register_automations
from ._cancellation import refuse_if_cancelled
from ._deployment import prepare_deployment, schedules
from ._messages import UNSENT, NotSent, by_hand_message, deliver, message, recipient
from ._outcome import notify_decision, report_outcome, trigger_retrain
from ._parallel import check_workers, choose_recipe, scorer, task_runner
from ._runner import serve
from ._runs import (
    begin,
    fingerprint_of_source,
    is_transient,
    reject_inline_secret,
    reports_progress,
    resolve_source,
    this_run,
    with_prefect_secrets,
)
from ._shown import rename_run, scoring_progress
from ._slack import set_up_slack
from ._trials import search

__all__ = [
    "DRIFT_EVENT",
    "UNSENT",
    "NotSent",
    "begin",
    "by_hand_message",
    "check_workers",
    "choose_recipe",
    "deliver",
    "fingerprint_of_source",
    "is_transient",
    "message",
    "notify_decision",
    "prepare_deployment",
    "recipient",
    "refuse_if_cancelled",
    "register_automations",
    "reject_inline_secret",
    "rename_run",
    "report_outcome",
    "reports_progress",
    "resolve_source",
    "schedules",
    "scorer",
    "scoring_progress",
    "search",
    "serve",
    "set_up_slack",
    "task_runner",
    "this_run",
    "trigger_retrain",
    "with_prefect_secrets",
]
