"""Sample weights of the deep clusterers, and which rows a fit learns from."""

import numpy as np
import pytest
from estimators import DEEP, X, Y, answers, each, fresh
from sklearn.datasets import make_blobs

from skdeepcluster import DEC
from skdeepcluster.deep._training_rows import TrainingRows, _distinct

each_deep = each(DEEP)
LARGE, LARGE_Y = make_blobs(90, n_features=4, centers=3, random_state=1)
# More distinct rows than a batch holds: nothing is merged.
BATCHES = {"batch_size": 16}


def rows_of(X, weight=None, batch_size=3, **options):
    rows = TrainingRows.of(np.asarray(X, dtype=float), weight)
    return rows.merged(batch_size, **options)


FEW = [[0.0, 1.0], [2.0, 3.0], [0.0, 1.0], [-0.0, 1.0], [5.0, 6.0]]


def test_equal_rows_are_merged():
    rows = rows_of(FEW)
    kept = {tuple(x): w for x, w in zip(rows.X, rows.weight, strict=True)}
    assert kept == {(0.0, 1.0): 3, (2.0, 3.0): 1, (5.0, 6.0): 1}
    assert (rows.X[rows.place] == np.asarray(FEW)).all()
    assert rows.given.shape == (5, 2)


def test_equal_rows_of_other_classes_are_not():
    rows = rows_of(FEW, batch_size=4, codes=np.array([0, 0, 1, 0, 0]))
    assert len(rows.X) == 4
    assert sorted(rows.weight) == [1, 1, 1, 2]


def test_kinds_are_in_order_by_value():
    generator = np.random.default_rng(0)
    base = generator.integers(-2, 3, size=(300, 4)) * 0.5
    X = base[generator.integers(300, size=2000)]
    X[::7] *= np.where(X[::7] == 0, -1.0, 1.0)  # negative zeros
    for dtype, codes in [(np.float32, None), (np.float64, np.arange(2000) % 3)]:
        data = X.astype(dtype)
        told = data if codes is None else np.column_stack([data, codes])
        expected = np.unique(told, axis=0, return_index=True, return_inverse=True)[1:]
        found = _distinct(data, codes, 1000)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other.ravel())


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"at_least": 4}])
def test_unless_they_do_not_fit_or_are_too_few(options):
    rows = rows_of(FEW, **options)
    assert rows.weight is None and rows.X is rows.given
    assert rows.place.tolist() == list(range(5))


def test_kinds_beyond_the_rows_looked_at_first():
    late = np.concatenate([np.zeros((9, 2)), FEW])
    assert len(rows_of(late, batch_size=2).X) == len(late)
    assert len(rows_of(late, batch_size=4).X) == 4
    mixed = np.tile(np.arange(40.0) // 13, 2)[:, None]
    assert len(rows_of(mixed, batch_size=2).X) == 80


def test_rows_are_not_copied_where_all_have_weights():
    X = np.arange(6.0).reshape(3, 2)
    assert TrainingRows.of(X, np.ones(3)).X is X
    assert TrainingRows.of(X, np.arange(3.0) + 1).X is X


def test_order_stays_where_there_is_nothing_to_merge():
    distinct = np.array([[3.0], [1.0], [2.0]])
    for weight in (None, np.ones(3), np.full(3, 0.25)):
        rows = rows_of(distinct, weight)
        assert rows.weight is None and (rows.X == distinct).all()


def test_rows_without_weight_are_left_out():
    weight = np.array([0, 2.0, 0, 1, 3])
    rows = rows_of(FEW, weight, batch_size=1)
    assert (rows.X == np.asarray(FEW)[weight > 0]).all()
    assert rows.weight.tolist() == [2, 1, 3]
    assert rows.place.tolist() == [-1, 0, -1, 1, 2]
    assert rows.spread(np.array([7, 8, 9]), -1).tolist() == [-1, 7, -1, 8, 9]
    assert rows.gather(np.array(list("abcde"))).tolist() == ["b", "d", "e"]


def test_weights_are_repetitions_in_merged_rows():
    weight = np.array([1, 2, 0, 3, 1])
    weighted = rows_of(FEW, weight)
    repeated = rows_of(np.repeat(FEW, weight, axis=0)[::-1])
    np.testing.assert_array_equal(weighted.X, repeated.X)
    assert weighted.weight.tobytes() == repeated.weight.tobytes()


# --- fits -------------------------------------------------------------------------


@each_deep
def test_a_weight_of_three_is_three_rows(estimator):
    weight = np.arange(len(X)) % 4
    order = np.random.default_rng(0).permutation(weight.sum())
    weighted = fresh(estimator).fit(X, sample_weight=weight)
    repeated = fresh(estimator).fit(np.repeat(X, weight, axis=0)[order])
    for name, answer in answers(repeated).items():
        np.testing.assert_array_equal(answers(weighted)[name], answer)
    assert weighted.score(X) == repeated.score(X)


@each_deep
def test_equal_weights_are_none(estimator):
    expected = fresh(estimator, **BATCHES).fit(LARGE)
    found = fresh(estimator, **BATCHES).fit(LARGE, sample_weight=np.full(90, 2.5))
    assert found.labels_.tobytes() == expected.labels_.tobytes()
    assert found.transform(LARGE).tobytes() == expected.transform(LARGE).tobytes()


@each_deep
def test_only_ratios_count(estimator):
    weight = 1.0 + np.arange(90) % 3
    found = {
        fresh(estimator, **BATCHES)
        .fit(LARGE, sample_weight=np.ldexp(weight, power))
        .transform(LARGE)
        .tobytes()
        for power in (0, 2, -1060, -150, 130, 1020)
    }
    assert len(found) == 1


def test_a_heavy_row_does_not_overshoot():
    data = np.random.default_rng(0).normal(size=(2000, 8))
    weight = np.where(np.arange(2000) == 5, 1e4, 1.0)
    model = DEC(2, hidden_layer_sizes=(8,), embedding_size=2, batch_size=64,
                pretrain_epochs=8, max_iter=1, random_state=0)  # fmt: skip
    loss = model.fit(data, sample_weight=weight).history_["pretraining"]["loss"]
    assert loss[-1] < 0.5 * loss[0]


@each_deep
def test_rows_without_weight_have_no_part(estimator):
    weight = np.where(np.arange(90) < 60, 1.0, 0.0)
    expected = fresh(estimator, **BATCHES).fit(LARGE[:60])
    spoiled = LARGE.copy()
    spoiled[60:] *= 100
    found = fresh(estimator, **BATCHES).fit(spoiled, sample_weight=weight)
    assert found.transform(LARGE).tobytes() == expected.transform(LARGE).tobytes()
    assert (found.labels_ == found.predict(spoiled)).all()
    assert (found.initial_labels_[60:] == -1).all()
    assert (found.initial_labels_[:60] == expected.initial_labels_).all()


@each_deep
def test_weights_change_mini_batch_fits(estimator):
    weight = np.where(LARGE_Y == 0, 5.0, 1.0)
    plain = fresh(estimator, **BATCHES).fit(LARGE).transform(LARGE)
    heavy = fresh(estimator, **BATCHES).fit(LARGE, sample_weight=weight)
    assert not np.array_equal(heavy.transform(LARGE), plain)


def test_centres_follow_the_weights():
    """Of two groups in one cluster the heavy one has the centre."""
    near, far = np.zeros((40, 2)), np.full((40, 2), 3.0)
    data = np.vstack([near, far]) + np.random.default_rng(0).normal(size=(80, 2)) / 9
    weight = np.repeat([99.0, 1.0], 40)
    model = DEC(1, hidden_layer_sizes=(8,), embedding_size=2, batch_size=16,
                pretrain_epochs=20, max_iter=3, random_state=0)  # fmt: skip
    z = model.fit(data, sample_weight=weight).transform(data)
    distance = np.linalg.norm(z - model.cluster_centers_, axis=1)
    assert distance[:40].mean() < distance[40:].mean() / 4


def test_cached_pretraining_knows_the_weights(tmp_path):
    options = {"memory": str(tmp_path), "hidden_layer_sizes": (8,), **BATCHES}
    model = DEC(3, max_iter=1, pretrain_epochs=2, random_state=0, **options)
    plain = model.fit(LARGE).transform(LARGE)
    heavy = model.fit(LARGE, sample_weight=1 + LARGE_Y).transform(LARGE)
    assert not np.array_equal(plain, heavy)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (-np.ones(61), "Negative values"),
        (np.ones(60), "sample_weight.shape"),
        (np.zeros(61), "at least one non-zero"),
        (np.arange(61) < 2, "positive sample_weight should be >= n_clusters=3, got 2"),
    ],
)
def test_refused_weights(weight, match):
    with pytest.raises(ValueError, match=match):
        fresh(DEEP[0]).fit(X, sample_weight=weight)


def test_fit_predict_and_fit_transform_take_weights():
    weight = 1.0 + Y
    expected = fresh(DEEP[0]).fit(X, sample_weight=weight)
    labels = fresh(DEEP[0]).fit_predict(X, sample_weight=weight)
    assert labels.tobytes() == expected.labels_.tobytes()
    z = fresh(DEEP[0]).fit_transform(X, sample_weight=weight)
    assert z.tobytes() == expected.transform(X).tobytes()
