"""Fits of several processes are fits of one."""

import numpy as np
import pytest
from estimators import X
from processes import in_processes
from shards import (
    CASES,
    ENDS,
    PATIENCE,
    SETTINGS,
    everything,
    fit,
)

from skdeepcluster import DEC, SphericalKMeans
from skdeepcluster.metrics import neighborhood_score

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What two processes have found, by process and name."""
    folder = str(tmp_path_factory.mktemp("checkpoints"))
    results = in_processes(everything, 2, folder)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


@pytest.mark.parametrize("shard", ["auto", "local"])
@pytest.mark.parametrize("name", CASES)
def test_two_processes_find_what_one_finds(results, name, shard):
    expected = fit(name)
    for rank, found in enumerate(result[name, shard] for result in results):
        part = slice(None)
        if shard == "local":
            part = slice(ENDS[rank], ENDS[rank + 1])
        if expected["labels"] is not None:
            np.testing.assert_array_equal(found["labels"], expected["labels"][part])
        np.testing.assert_array_equal(found["predicted"], expected["predicted"])
        np.testing.assert_allclose(found["embedding"], expected["embedding"], **CLOSE)
        np.testing.assert_allclose(found["centers"], expected["centers"], **CLOSE)
        assert found["n_iter"] == expected["n_iter"]
        assert found.get("score") == expected.get("score")
        assert found.get("weighted score") == expected.get("weighted score")
        assert found["history"].keys() == expected["history"].keys()
        for phase, history in expected["history"].items():
            assert found["history"][phase].keys() == history.keys()
            for key, values in history.items():
                own = found["history"][phase][key]
                np.testing.assert_allclose(own, values, **CLOSE)


@pytest.mark.parametrize("name", CASES)
def test_all_processes_end_with_the_same_bits(results, name):
    first, second = (result[name, "local"] for result in results)
    assert first["embedding"].tobytes() == second["embedding"].tobytes()
    assert first["centers"].tobytes() == second["centers"].tobytes()
    assert first["history"] == second["history"]


@pytest.mark.parametrize("shard", ["auto", "local"])
def test_a_warm_start_of_processes_is_one_of_one(results, shard):
    expected = results[0]["warm"][None]
    for result in results:
        for found, one in zip(result["warm"][shard], expected, strict=True):
            np.testing.assert_allclose(found["embedding"], one["embedding"], **CLOSE)
            np.testing.assert_allclose(found["centers"], one["centers"], **CLOSE)


def test_the_score_of_a_part_is_that_of_the_whole_sample(results):
    model = DEC(3, **SETTINGS).fit(X)
    expected = neighborhood_score(X[:17], model.predict(X[:17]))
    assert [r["no rows of the sample"] for r in results] == [expected, expected]


def test_rows_that_cannot_be_scored_are_an_error_of_all(results):
    first, second = (result["bad scored rows"] for result in results)
    assert first.startswith("ValueError: X has 3 features")
    assert second.startswith("RuntimeError: Process 0 of the group failed: ValueError")


def test_an_error_of_one_is_an_error_of_all(results):
    first, second = (result["bad rows"] for result in results)
    assert second.startswith("ValueError: Input X contains NaN")
    assert first.startswith("RuntimeError: Process 1 of the group failed: ValueError")


def test_rows_have_to_fit_together(results):
    for result in results:
        assert "3 of dense float64, 4 of dense float64" in result["bad width"]
        assert "4 of dense float64, 4 of sparse" in result["different kinds"]
        assert "Pass shard='local'" in result["different rows"]
        assert "2 processes and batch_size=1" in result["too few rows"]
        assert "n_samples=4 should be >= n_clusters=5" in result["few rows"]


def test_all_pass_the_same_but_for_their_rows(results):
    same = "pass the same y and sample_weight"
    parameter = "The '{}' parameter should be the same in all processes. Got {}."
    expected = [
        parameter.format("max_iter", "3, 4"),
        parameter.format("shard", "'auto', 'local'"),
        *[same] * 3,
        parameter.format("batch_size", "9, 10"),
        same,
        parameter.format("tol", "0.0, 0.1"),
    ]
    for result in results:
        for found, words in zip(result["different others"], expected, strict=True):
            assert words in found


@pytest.mark.parametrize("loss", ["balance", "locality"])
def test_losses_that_need_more_than_the_own_rows(results, loss):
    for result in results:
        assert "use shard=None" in result[loss]


def test_networks_with_statistics_are_refused(results):
    for result in results:
        assert "has a BatchNorm1d" in result["batch normalisation"]


def test_all_take_the_start_of_the_first(results):
    first, second = (result["other starts"] for result in results)
    assert first["embedding"].tobytes() == second["embedding"].tobytes()
    np.testing.assert_array_equal(first["labels"], second["labels"])


def test_all_stop_when_one_is_asked_to(results):
    for result in results:
        assert len(result["stopped"]["history"]["clustering"]["loss"]) == 2


def test_an_error_in_training_ends_the_group(results):
    first, second = (result["fails in training"] for result in results)
    assert second.startswith("ZeroDivisionError")
    assert first.startswith("RuntimeError: Another process of the group has ended")


def test_an_interrupt_of_one_ends_all(results):
    for first, second in zip(*(r["interrupted in one"] for r in results), strict=True):
        (found, _), (interrupted, seconds) = first, second
        assert interrupted.startswith("KeyboardInterrupt")
        assert found.startswith("RuntimeError: Another process of the group has ended")
        assert seconds < PATIENCE  # not the minutes for which gloo waits


def test_an_error_in_spherical_kmeans_ends_the_group(results):
    first, second = (result["spherical fails in one"] for result in results)
    assert second.startswith("ZeroDivisionError")
    assert first.startswith("RuntimeError: Another process of the group has ended")


def test_a_loss_that_diverges_in_one_has_diverged_in_all(results):
    (first, left), (second, _) = (result["diverges"] for result in results)
    assert first.startswith("TrainingDivergedError: Process 1 of the group failed")
    assert second == "TrainingDivergedError: not finite"
    assert left == []


def test_the_first_process_says_where_checkpoints_are(results):
    for result in results:
        (works, _), (refused, directories) = result["directories"]
        assert works == "no error"
        assert "checkpoint_dir is None in the first process" in refused
        assert "of 0" in directories and "of 1" not in directories


def test_a_damaged_checkpoint_is_an_error_of_all(results):
    for result in results:
        assert "damaged, or not a checkpoint" in result["damaged"]


def test_rows_on_disk(results):
    """Other batches than in memory, the same in both processes."""
    first, second = (result["stored"] for result in results)
    assert first["embedding"].tobytes() == second["embedding"].tobytes()
    losses = first["history"]["pretraining"]["loss"]
    assert losses[-1] < losses[0]
    assert first["labels"].shape == (len(X),)


def test_without_a_seed_all_draw_the_same(results):
    first, second = (result["without seed"] for result in results)
    assert first["embedding"].tobytes() == second["embedding"].tobytes()


def test_a_fit_of_processes_goes_on(results):
    expected = results[0]["DEC0", "auto"]
    for result in results:
        began, seen, found = result["interrupted"]
        assert began == 5
        assert seen == [1, 2]  # of three epochs of the clustering phase
        assert found["embedding"].tobytes() == expected["embedding"].tobytes()
        assert found["history"] == expected["history"]


def test_without_shard_nobody_waits(results):
    expected = fit("DEC0")
    assert results[0]["alone"]["embedding"].tobytes() == expected["embedding"].tobytes()


@pytest.mark.parametrize("shard", ["auto", "local"])
def test_one_process_needs_no_group(shard):
    expected = fit("DEC0")
    estimator = CASES["DEC0"][0]
    model = DEC(**{**estimator.get_params(deep=False), "shard": shard}).fit(X)
    assert model.transform(X).tobytes() == expected["embedding"].tobytes()


def test_processes_that_do_not_know_each_other(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="init_process_group"):
        DEC(3, shard="auto").fit(X)


@pytest.mark.parametrize(
    "params", [{"fuzziness": 1.5}, {"batch_size": 9}, {"local_search": 5}]
)
def test_what_spherical_kmeans_cannot_share(params):
    with pytest.raises(ValueError, match="shard needs an init by its name"):
        SphericalKMeans(3, shard="auto", **params).fit(X)
