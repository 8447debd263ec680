"""The search for better parameters of the estimators.

In:    the training part, and the space of each estimator that models.py names.
Out:   trials scored by the cross-validation of a retrain, the best parameters in params.toml, a page about the search.
Never: looks at the holdout; decides what goes to production; imports the search library before a search begins.
"""

from ._proposal import propose
from ._space import Plan, plan
from ._study import TODAY, Found, Study, StudyInUseError, TimeLimitError, open_study
from ._trial import Outcome, score_trial

__all__ = [
    "TODAY",
    "Found",
    "Outcome",
    "Plan",
    "Study",
    "StudyInUseError",
    "TimeLimitError",
    "open_study",
    "plan",
    "propose",
    "score_trial",
]
