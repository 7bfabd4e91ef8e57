"""Progress: scikit-learn's callbacks and the log."""

import importlib.util
import logging
import sys

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import DEC
from skdeepcluster.architectures import GeneratorDropout, MLPAutoencoder
from skdeepcluster.engine import Observer, verbosity
from skdeepcluster.metrics import neighborhood_scorer
from skdeepcluster.utils import _sklearn

X, Y = make_blobs(60, n_features=4, centers=3, random_state=0)


def make_dec(**params):
    settings = {
        "n_clusters": 3,
        "hidden_layer_sizes": (8,),
        "embedding_size": 2,
        "pretrain_epochs": 3,
        "max_iter": 4,
        "tol": 0.0,
        "n_init": 2,
        "random_state": 0,
    }
    return DEC(**{**settings, **params})


def bits(dec):
    state = {k: v.numpy().tobytes() for k, v in dec.module_.state_dict().items()}
    return state, dec.labels_.tobytes(), dec.predict_proba(X).tobytes()


class Recorder:
    """Notes every hook; stops a phase where `stop(phase, epoch)` says so."""

    max_propagation_depth = None

    def __init__(self, stop=lambda phase, epoch: False):
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
        if context.task_name in ("pretraining", "clustering"):
            return self.stop(context.task_name, n_epochs(self, context.task_name))
        return None


class Quiet(Recorder):
    """Asks for no fitted estimator, so that none is made."""

    def on_fit_task_end(self, estimator, context):
        return super().on_fit_task_end(estimator, context)


def n_epochs(recorder, phase):
    return recorder.events.count(f"{phase} ends")


@pytest.fixture
def callback():
    return pytest.importorskip("sklearn.callback")


def test_hooks_are_called_in_order(callback):
    recorder = Recorder()
    make_dec().set_callbacks(recorder).fit(X, Y)
    per_phase = [
        *["pretraining begins", "pretraining ends"] * 3,
        *["clustering begins", "clustering ends"] * 4,
    ]
    expected = ["setup", "fit begins", *per_phase, "fit ends", "teardown"]
    assert recorder.events == expected
    assert all(seen[0] is X and seen[1] is Y for seen in recorder.seen)


def test_callbacks_change_nothing(callback):
    recorder = Recorder()
    watched = make_dec().set_callbacks(recorder).fit(X, Y)
    assert bits(watched) == bits(make_dec().fit(X))
    assert set(vars(watched)) - {"_skl_callbacks"} == set(vars(make_dec().fit(X)))


def test_each_clustering_epoch_gives_a_usable_estimator(callback):
    recorder = Recorder()
    dec = make_dec(learning_rate=0.5).set_callbacks(recorder).fit(X, Y)
    assert len(recorder.fitted) == 4
    for fitted in recorder.fitted:
        assert fitted is not dec
        assert fitted.predict(X).shape == (60,)
    first, last = recorder.fitted[0], recorder.fitted[-1]
    assert not np.array_equal(first.transform(X), last.transform(X))
    np.testing.assert_array_equal(last.transform(X), dec.transform(X))


def test_models_in_training_do_not_have_the_random_stream_of_the_fit(callback):
    recorder = Recorder()
    network = MLPAutoencoder((8,), dropout=0.2)
    make_dec(architecture=network).set_callbacks(recorder).fit(X)
    for fitted in recorder.fitted:
        layers = fitted.module_.modules()
        dropouts = [m for m in layers if isinstance(m, GeneratorDropout)]
        assert len(dropouts) > 0
        assert all(layer.generator is None for layer in dropouts)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_callback_stops_the_clustering_phase(callback, epoch):
    recorder = Quiet(lambda *task: task == ("clustering", epoch))
    dec = make_dec().set_callbacks(recorder).fit(X)
    assert dec.n_iter_ == epoch
    assert len(dec.history_["clustering"]["loss"]) == epoch
    assert recorder.events[-2:] == ["fit ends", "teardown"]
    assert bits(dec) == bits(make_dec(max_iter=epoch).fit(X))


def test_a_callback_stops_pretraining_and_clustering_follows(callback):
    recorder = Quiet(lambda *task: task == ("pretraining", 2))
    dec = make_dec().set_callbacks(recorder).fit(X)
    assert len(dec.history_["pretraining"]["loss"]) == 2
    assert dec.n_iter_ == 4
    assert bits(dec) == bits(make_dec(pretrain_epochs=2).fit(X))


def test_scoring_monitor_sees_a_score_per_clustering_epoch(callback):
    monitor = callback.ScoringMonitor(scoring="adjusted_rand_score")
    dec = make_dec().set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    scores = [row["adjusted_rand_score"] for row in rows]
    assert len(scores) == dec.n_iter_ == 4
    assert all(row["task_name"] == "clustering" for row in rows)
    assert all(-1 <= score <= 1 for score in scores)


def test_scoring_monitor_with_the_own_score(callback):
    monitor = callback.ScoringMonitor(scoring={"own": neighborhood_scorer})
    dec = make_dec().set_callbacks(monitor).fit(X, Y)
    assert monitor.get_logs().data[-1]["own"] == dec.score(X)


def test_propagation_through_a_pipeline(callback):
    recorder = Quiet()
    pipeline = make_pipeline(StandardScaler(), make_dec())
    pipeline.set_callbacks(recorder).fit(X)
    assert n_epochs(recorder, "clustering") == 4


def test_propagation_through_a_grid_search(callback):
    recorder = Quiet()
    search = GridSearchCV(make_dec(), {"n_clusters": [2, 3]}, cv=2)
    search.set_callbacks(recorder).fit(X)
    assert n_epochs(recorder, "clustering") == 4 * 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_in_a_callback_leaves_the_estimator(callback, error):
    def fail(phase, epoch):
        raise error("from a callback")

    dec = make_dec().set_callbacks(Quiet(fail))
    before = dict(vars(dec))
    with pytest.raises(error, match="from a callback"):
        dec.fit(X)
    assert vars(dec) == before
    dec.set_callbacks()
    assert bits(dec.fit(X)) == bits(make_dec().fit(X))


def test_scikit_learn_without_callbacks(monkeypatch):
    """The module is loaded anew as under a version without `sklearn.callback`."""
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("old_sklearn", _sklearn.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.CallbackSupportMixin.__module__ == "old_sklearn"
    assert module.init_callback_context(module.CallbackSupportMixin()) is None


def test_fit_without_a_callback_context(monkeypatch):
    expected = bits(make_dec().fit(X))
    monkeypatch.setattr(
        "skdeepcluster.deep._base.init_callback_context", lambda estimator: None
    )
    assert bits(make_dec().fit(X)) == expected


def test_an_observer_of_nothing():
    observer = Observer()
    observer.fit_begins()
    task = observer.epoch_begins("phase")
    assert observer.epoch_ends(task, "phase", 1, 0.5) is False
    observer.fit_ends()


def test_silent_by_default(capfd, caplog):
    with caplog.at_level(logging.INFO):
        make_dec(verbose=0).fit(X)
    logging.getLogger("skdeepcluster").info("not from a fit")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("verbose, n_epochs", [(1, 0), (2, 7)])
def test_verbose_goes_to_the_logger(caplog, capfd, verbose, n_epochs):
    make_dec(verbose=verbose).fit(X)
    assert {record.name for record in caplog.records} == {"skdeepcluster"}
    messages = [record.getMessage() for record in caplog.records]
    assert sum(": epoch " in message for message in messages) == n_epochs
    summaries = [m for m in messages if ": epoch " not in m]
    assert summaries[0].startswith("pretraining: 3 epochs, loss ")
    assert summaries[1].startswith("clustering: 4 epochs, loss ")
    assert capfd.readouterr().out == ""


@pytest.fixture
def bare_logger(monkeypatch):
    """A logger as in an application that has set up no logging."""
    logger = logging.Logger("skdeepcluster")
    monkeypatch.setattr("skdeepcluster.engine._callbacks.logger", logger)
    return logger


def test_standard_error_where_logging_is_not_set_up(bare_logger, capfd):
    make_dec(verbose=1).fit(X)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "[skdeepcluster] pretraining: 3 epochs" in captured.err
    assert bare_logger.handlers == []
    assert bare_logger.level == logging.NOTSET


def test_verbosity_is_put_back_after_an_error(bare_logger):
    with pytest.raises(ZeroDivisionError), verbosity(2):
        assert bare_logger.level == logging.DEBUG
        raise ZeroDivisionError
    assert bare_logger.handlers == []
    assert bare_logger.level == logging.NOTSET


def test_overlapping_verbose_fits_leave_the_log_as_it_was():
    logger = logging.getLogger("skdeepcluster")
    level, handlers = logger.level, list(logger.handlers)
    first, second = verbosity(1), verbosity(2)
    first.__enter__()
    second.__enter__()
    assert logger.level == logging.DEBUG
    first.__exit__(None, None, None)
    assert logger.level == logging.DEBUG
    second.__exit__(None, None, None)
    assert (logger.level, logger.handlers) == (level, handlers)


def test_models_in_training_can_go_on(callback):
    recorder = Recorder()
    model = make_dec(warm_start=True).set_callbacks(recorder)
    model.fit(X).fit(X)
    for seen in (recorder.fitted[0], recorder.fitted[-1]):
        assert seen._last_fit is None
        assert seen.partial_fit(X).set_callbacks().fit(X).labels_.shape == (len(X),)
