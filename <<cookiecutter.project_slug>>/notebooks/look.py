# %% [markdown]
# A look at the champion: its holdout, its errors, and a feature to try. Run it cell by cell in VS Code or PyCharm, or
# as a whole: `.venv/bin/python notebooks/look.py`. Nothing here changes the registry.

# %% The champion and the table as it is now
import numpy as np

from << cookiecutter.package_name >> import project
from << cookiecutter.package_name >>.retrainer import data, gate
from << cookiecutter.package_name >>.retrainer.registry import open_registry
from << cookiecutter.package_name >>.retrainer.training import load_twin, make_pipeline

settings = project.settings
registry = open_registry(settings)
# What was compared: it never saw the holdout.
champion = load_twin(registry, registry.version("champion"), project=project)
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
    own = np.asarray(predictions.labels == holdout[target].to_numpy())
    wrong = holdout.assign(predicted=predictions.labels)[~own]
else:
    errors = (predictions.labels - holdout[target]).abs()
    wrong = holdout.assign(predicted=predictions.labels, error=errors).nlargest(20, "error")
print(wrong.head(20))


# %% Try a feature, with the same estimator with and without it: what stands here goes into features() once it helps
def as_now(rows):
    return data.inputs(rows, contract=table.contract, code=table.code)


def tried(rows):
    return as_now(rows).assign(missing=rows.isna().sum(axis=1))


for features in (as_now, tried):
    pipeline = make_pipeline(settings.estimators[0], project=project)
    pipeline.fit(features(training), training[target])
    again = gate.predict(pipeline, features(holdout), problem_type=settings.problem_type)
    scores = gate.evaluate(again, holdout[target], metrics=metrics, rows=holdout)
    print(f"{settings.estimators[0]}, {features.__name__}: {scores}")
