"""Estimators without a network: scikit-learn's callbacks."""

import numpy as np
import pytest
from estimators import X, Y, bits, each, fresh
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    KernelKMeans,
    MatrixFactorizationKMeans,
    SphericalKMeans,
    VonMisesFisherMixture,
)
from skdeepcluster.utils._tasks import Tasks

callback = pytest.importorskip("sklearn.callback")

WATCHED = [
    SphericalKMeans(4),
    SphericalKMeans(4, batch_size=8, max_iter=5),
    SphericalKMeans(4, fuzziness=1.5),
    SphericalKMeans(4, local_search=5, n_init=2, init="random"),
    VonMisesFisherMixture(3, n_init=2, init="k-means++", tol=1e-7, max_iter=500),
    MatrixFactorizationKMeans(4, n_init=2, init="random"),
    MatrixFactorizationKMeans(4, solver="hartigan", init="random", n_init=2),
    MatrixFactorizationKMeans(4, solver="palm", n_init=1),
    KernelKMeans(4, kernel="rbf", init="random", n_init=2),
    KernelKMeans(4, kernel="poly", solver="hartigan", init="random", n_init=2),
]
each_watched = each(WATCHED)


class Recorder:
    """Notes every hook; asks to stop at iteration `stop`."""

    max_propagation_depth = None

    def __init__(self, stop=None):
        self.stop = stop
        self.events, self.fitted, self.seen = [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append(f"{context.task_name} begins")
        self.seen.append((X, y))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.events.append(f"{context.task_name} ends")
        if fitted_estimator is not None:
            self.fitted.append(fitted_estimator)
        return self.n_iterations == self.stop

    @property
    def n_iterations(self):
        return self.events.count("iteration ends")


@each_watched
def test_starts_and_iterations_are_tasks(estimator):
    recorder = Recorder()
    model = fresh(estimator).set_callbacks(recorder).fit(X, Y)
    plain = fresh(estimator).fit(X)
    assert bits(model) == bits(plain)
    assert set(vars(model)) - {"_skl_callbacks"} == set(vars(plain))
    events, n_starts = recorder.events, getattr(estimator, "n_init", 1)
    assert events[:3] == ["setup", "fit begins", "start begins"]
    assert events[-3:] == ["start ends", "fit ends", "teardown"]
    assert events.count("start begins") == events.count("start ends")
    assert events.count("start begins") == (1 if n_starts == "auto" else n_starts)
    assert events.count("iteration begins") == recorder.n_iterations >= model.n_iter_
    assert all(seen[0] is X and seen[1] is Y for seen in recorder.seen)


@each_watched
def test_each_iteration_gives_a_usable_estimator(estimator):
    recorder = Recorder()
    model = fresh(estimator, **({"n_init": 1})).set_callbacks(recorder)
    weight = np.arange(len(X)) % 3 * 1.0
    model.fit(X, sample_weight=weight)
    assert len(recorder.fitted) == recorder.n_iterations
    for fitted in recorder.fitted:
        assert fitted is not model
        assert fitted.predict(X).shape == (len(X),)
        assert np.isfinite(fitted.score(X))
    last = recorder.fitted[-1].predict(X)
    pairs = set(zip(last, model.labels_, strict=True))
    assert len(pairs) == len(set(last)) == len(set(model.labels_))


@each_watched
def test_a_callback_ends_the_fit(estimator, recwarn):
    for stop in (1, 2):
        recorder = Recorder(stop)
        model = fresh(estimator).set_callbacks(recorder).fit(X)
        assert recorder.n_iterations == stop
        assert model.n_iter_ == stop
        assert recorder.events.count("start ends") == 1
        assert recorder.events[-2:] == ["fit ends", "teardown"]
        np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert not [w for w in recwarn if "max_iter" in str(w.message)]


@each(WATCHED)
@pytest.mark.filterwarnings("ignore:The mixture did not converge")
def test_a_stop_is_as_if_max_iter_were_reached(estimator):
    stopped = fresh(estimator).set_callbacks(Recorder(2)).fit(X)
    assert bits(stopped) == bits(fresh(estimator, n_init=1, max_iter=2).fit(X))


@each(WATCHED[4:6])
def test_progress_and_scores_are_shown(estimator, capsys):
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring="adjusted_rand_score")
    model = fresh(estimator, n_init=1).set_callbacks(callback.ProgressBar(), monitor)
    model.fit(X, Y)
    rows = monitor.get_logs().data
    assert len(rows) == model.n_iter_
    assert all(-1 <= row["adjusted_rand_score"] <= 1 for row in rows)


@each(WATCHED[::3])
def test_callbacks_reach_pipelines_and_searches(estimator):
    recorder = Recorder()
    make_pipeline(StandardScaler(), fresh(estimator)).set_callbacks(recorder).fit(X)
    assert recorder.n_iterations > 0
    recorder = Recorder()
    search = GridSearchCV(fresh(estimator), {"random_state": [0, 1]}, cv=2)
    search.set_callbacks(recorder).fit(X)
    assert recorder.events.count("start ends") >= 5


@each(WATCHED[::3])
def test_an_error_in_a_callback_leaves_the_estimator(estimator):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    model = fresh(estimator).set_callbacks(Failing())
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert vars(model) == before


@each_watched
def test_where_scikit_learn_has_no_callbacks(estimator, monkeypatch):
    expected = bits(fresh(estimator).fit(X))
    monkeypatch.setattr(
        "skdeepcluster.utils._tasks.init_callback_context", lambda estimator: None
    )
    assert bits(fresh(estimator).fit(X)) == expected


def test_tasks_of_nobody():
    tasks = Tasks()
    tasks.fit_begins()
    tasks.start_begins()
    tasks.iteration_begins()
    assert not tasks.iteration_ends(None)
    assert not tasks.start_ends()
    tasks.fit_ends()


def test_a_mixture_that_a_callback_ends_does_not_blame_max_iter():
    model = VonMisesFisherMixture(4, tol=0, max_iter=3, init="random", random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        model.fit(X)
    assert not model.set_callbacks(Recorder(2)).fit(X).converged_
