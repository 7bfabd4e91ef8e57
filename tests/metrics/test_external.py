from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdeepcluster.metrics import clustering_accuracy

labels = st.lists(st.integers(0, 3), min_size=1, max_size=15)


def accuracy_by_enumeration(labels_true, labels_pred):
    """Try every one-to-one map; padding makes the numbers of values equal."""
    size = max(*labels_true, *labels_pred) + 1
    named = np.array(list(permutations(range(size))))[:, labels_pred]
    return (named == np.array(labels_true)).mean(axis=1).max()


@pytest.mark.parametrize(
    "labels_true, labels_pred, expected",
    [
        ([0, 0, 1, 1, 1], [1, 1, 0, 0, 2], 4 / 5),
        ([0, 0, 1, 1, 1], [0, 0, 1, 1, 1], 1.0),
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0], 1 / 3),
        ([0, 0, 0, 0], [0, 1, 2, 3], 1 / 4),
        # The greedy choice, cluster 0 to class 0, gives 3/7.
        ([0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1], 4 / 7),
        ([5], [9], 1.0),
    ],
)
def test_known_answers(labels_true, labels_pred, expected):
    assert clustering_accuracy(labels_true, labels_pred) == expected


@pytest.mark.parametrize(
    "names", [[10, -7, 3], ["b", "a", "c"], [0.5, 1e300, -2.0], [0, 200, 7]]
)
def test_any_label_values(names):
    labels_true, labels_pred = [0, 0, 1, 1, 1], [1, 1, 0, 0, 2]
    names = np.array(names)
    assert clustering_accuracy(names[labels_true], labels_pred) == 4 / 5
    assert clustering_accuracy(labels_true, names[labels_pred]) == 4 / 5
    assert clustering_accuracy(np.array(labels_true) == 1, labels_pred) == 4 / 5


def test_pandas_and_object_labels():
    truth = pd.Series(["x", "x", "y"], index=[7, 8, 9])
    assert clustering_accuracy(truth, pd.Categorical([3, 3, 1])) == 1.0
    assert clustering_accuracy(truth.astype(object), [3, 3, 1]) == 1.0


def test_noise_never_matches():
    assert clustering_accuracy([0, 0, 1, 1], [-1, -1, 2, 2]) == 1 / 2
    assert clustering_accuracy([0, 0, 1, 1], [-1.0, -1.0, 2.0, 2.0]) == 1 / 2
    assert clustering_accuracy([-1, -1], [-1, -1]) == 0.0
    assert clustering_accuracy([0, 1], np.array([-1, 3], dtype=object)) == 1 / 2


def test_minus_one_is_a_class_and_a_string():
    assert clustering_accuracy([-1, -1, 0], [4, 4, 5]) == 1.0
    assert clustering_accuracy([0, 0, 1], ["-1", "-1", "1"]) == 1.0


def test_sample_weight_counts_like_repetition():
    labels_true = np.array([0, 0, 1, 1, 2])
    labels_pred = np.array([0, 1, 1, 1, 0])
    weight = np.array([1, 3, 2, 0, 5])
    expected = clustering_accuracy(
        np.repeat(labels_true, weight), np.repeat(labels_pred, weight)
    )
    score = clustering_accuracy(labels_true, labels_pred, sample_weight=weight)
    assert score == pytest.approx(expected, rel=1e-15)
    assert expected == 8 / 11


@pytest.mark.parametrize("scale", [0.1, 1e-300, 1e308])
def test_a_perfect_clustering_scores_exactly_one(scale):
    weight = scale * np.random.default_rng(0).random(1000)
    labels = np.arange(1000) % 7
    assert clustering_accuracy(labels, 6 - labels, sample_weight=weight) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.data(), labels)
def test_agrees_with_enumeration(data, labels_true):
    size = len(labels_true)
    labels_pred = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    expected = accuracy_by_enumeration(labels_true, labels_pred)
    score = clustering_accuracy(labels_true, labels_pred)
    assert score == pytest.approx(expected, abs=1e-15)
    assert type(score) is float
    assert clustering_accuracy(labels_pred, labels_true) == score
    order = data.draw(st.permutations(range(size)))
    reordered = np.array(labels_true)[order], np.array(labels_pred)[order]
    assert clustering_accuracy(*reordered) == score


@pytest.mark.parametrize(
    "labels_true, labels_pred, message",
    [
        ([0, 1], [0, 1, 2], r"inconsistent numbers of samples: \[2, 3"),
        ([], [], r"labels_true must hold at least 1 label. Got n_samples=0"),
        ([[0], [1]], [0, 1], r"labels_true must be a 1d array.*\(2, 1\)"),
        ([0, 1], 3, r"labels_pred must be a 1d array.*\(\)"),
        ([0.0, np.nan], [0, 1], "labels_true must not contain missing values"),
        ([0, 1], [None, 1], "labels_pred must hold labels of one kind"),
        (pd.array([1, pd.NA], dtype="Int64"), [0, 1], "labels_true must not contain"),
    ],
)
def test_bad_labels(labels_true, labels_pred, message):
    with pytest.raises(ValueError, match=message):
        clustering_accuracy(labels_true, labels_pred)


@pytest.mark.parametrize(
    "weight, message",
    [
        ([1, 2, 3], "inconsistent numbers of samples"),
        ([[1, 2]], r"sample_weight must be 1d. Got an array of shape \(1, 2\)"),
        ([1, -2], r"sample_weight must be non-negative. Got -2.0"),
        ([0, 0], "sample_weight must not be zero for all"),
        ([1, np.inf], "sample_weight must be finite"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        clustering_accuracy([0, 1], [0, 1], sample_weight=weight)
