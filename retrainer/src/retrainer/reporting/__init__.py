"""Reports for people: a retrain, the model history, drift, a search.

In:    a decision with both models' predictions of the holdout, versions and decisions, drift.
Out:   HTML pages that need no network, and model cards as Markdown.
Never: decides, or changes the registry; a report that cannot be drawn costs only the report.
"""

from ._document import Table, escaped
from ._drift_page import drift_page
from ._facts import Facts
from ._history import history
from ._report import card, page
from ._sections import scores, sections
from ._tuning_page import tuning_page

__all__ = ["Facts", "Table", "card", "drift_page", "escaped", "history", "page", "scores", "sections", "tuning_page"]
