# %% [markdown]
# A look at the champion: its holdout, its errors, and a feature to try. Run it cell by cell in VS Code or PyCharm, or
# as a whole: `.venv/bin/python notebooks/look.py`. Nothing here changes the registry.

# %% The champion and the table as it is now
import numpy as np
from sklearn.model_selection import cross_val_score

from << cookiecutter.package_name >> import project
from << cookiecutter.package_name >>.retrainer import data, gate
from << cookiecutter.package_name >>.retrainer.registry import open_registry
from << cookiecutter.package_name >>.retrainer.training import load_evaluated_model, make_pipeline

settings = project.settings
registry = open_registry(settings)
# What was compared: it never saw the holdout.
champion = load_evaluated_model(registry, registry.version("champion"), project=project)
frame = data.load(data.fetch(data.resolve(settings.data.source, as_of=None), settings=settings))
table = data.prepare(frame, settings=settings, code=data.current_code(project), prior=champion.contract)
sides = data.split(table, settings=settings.split, problem_type=settings.problem_type)
training, holdout, target = sides.train, sides.holdout, settings.data.target
print(f"{len(holdout):,} rows of {len(table.rows):,} are held out")

# %% How good it is there
predictions = champion.predict(holdout)
metrics = gate.recorded_metrics(project)
print(gate.evaluate(predictions, holdout[target], metrics=metrics, rows=holdout))

# %% The rows it is most wrong about
if settings.problem_type == "classification":
    right = np.asarray(predictions.labels == holdout[target].to_numpy())
    wrong = holdout.assign(predicted=predictions.labels)[~right]
else:
    errors = (predictions.labels - holdout[target]).abs()
    wrong = holdout.assign(predicted=predictions.labels, error=errors).nlargest(20, "error")
print(wrong.head(20))


# %% Try a feature by cross-validation on the training side, with the same estimator: features() gets it if it helps
def as_now(rows):
    return data.inputs(rows, contract=table.contract, code=table.code)


def with_gaps_counted(rows):
    now = as_now(rows)
    return now.assign(gaps=now.isna().sum(axis=1))


scoring = "neg_log_loss" if settings.problem_type == "classification" else "neg_root_mean_squared_error"
for features in (as_now, with_gaps_counted):
    pipeline = make_pipeline(settings.estimators[0], project=project)
    found = cross_val_score(pipeline, features(training), training[target], scoring=scoring)
    print(f"{settings.estimators[0]}, {features.__name__}: {scoring} {found.mean():.4f} ± {found.std():.4f}")
