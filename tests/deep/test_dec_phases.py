"""Deep Embedded Clustering: its phases, their budgets and what they train."""

import pytest
from dec_cases import X, make_dec
from estimators import weights

from skdeepcluster import DEC
from skdeepcluster.engine import Budget, Pretraining
from skdeepcluster.objectives import Hardening


def layers(dec, prefix):
    return {k: v for k, v in weights(dec).items() if k.startswith(prefix)}


def test_phases_can_be_read_without_training():
    pretraining, clustering = DEC(4, alpha=2.0, n_init=7)._phases(Budget(1000, 256))
    assert isinstance(pretraining, Pretraining)
    assert clustering.name == "clustering"
    (objective, factor), *others = clustering.objectives.items()
    assert others == []
    assert isinstance(objective, Hardening)
    assert (objective.n_clusters, objective.alpha, objective.n_init) == (4, 2.0, 7)
    assert factor == 1.0
    assert not clustering.needs_reconstruction
    assert clustering.refresh_every == min(140, 4)
    assert clustering.stop is not None


def test_asked_lengths_reach_the_phases():
    dec = make_dec(
        update_interval=7,
        tol=0.25,
        optimizer="adam",
        learning_rate=0.5,
        pretrain_optimizer="sgd",
    )
    pretraining, clustering = dec._phases(Budget(1000, 40))
    assert (pretraining.epochs, clustering.epochs) == (20, 5)
    assert clustering.refresh_every == 7
    assert clustering.stop.tol == 0.25
    assert (pretraining.optimizer.name, clustering.optimizer.name) == ("sgd", "adam")
    assert clustering.optimizer.learning_rate == 0.5


@pytest.mark.parametrize("n, interval", [(100, 1), (1000, 4), (100_000, 140)])
def test_auto_update_interval(n, interval):
    *_, clustering = DEC()._phases(Budget(n, 256))
    assert clustering.refresh_every == interval


def test_auto_budgets_are_whole_and_positive():
    for n in (10, 1000, 10**6):
        budget = Budget(n, 256)
        pretraining, clustering = DEC()._phases(budget)
        assert pretraining.epochs == budget.pretrain_epochs("auto") >= 1
        assert clustering.epochs == budget.max_iter("auto") >= 1


@pytest.mark.parametrize("max_iter", [1, 4])
def test_max_iter_and_update_interval(max_iter):
    dec = make_dec(max_iter=max_iter, update_interval=2, tol=0).fit(X)
    assert dec.n_iter_ == max_iter
    clustering = dec.history_["clustering"]
    assert len(clustering["loss"]) == max_iter
    assert clustering["update_step"] == list(range(2, 3 * max_iter + 1, 2))
    assert len(dec.history_["pretraining"]["loss"]) == 20


def test_tol_ends_the_phase_early_but_not_in_the_first_epoch():
    dec = make_dec(max_iter=200, tol=1.0).fit(X)
    assert 1 <= dec.n_iter_ < 200
    assert len(dec.history_["clustering"]["update_step"]) >= 1


def test_history_is_plain_lists():
    dec = make_dec().fit(X)
    for phase in dec.history_.values():
        for values in phase.values():
            assert type(values) is list
            assert {type(value) for value in values} <= {float, int}


def test_no_pretraining():
    dec = make_dec(pretrain_epochs=0).fit(X)
    assert dec.history_["pretraining"]["loss"] == []


def test_decoder_stays_as_pretrained():
    short = make_dec(max_iter=1, learning_rate=0.01).fit(X)
    long = make_dec(max_iter=20, learning_rate=0.5, tol=0).fit(X)
    assert layers(short, "decoder") == layers(long, "decoder")
    assert layers(short, "encoder") != layers(long, "encoder")


@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
def test_number_of_clusters_does_not_change_the_pretraining(pretraining):
    fits = [
        make_dec(n_clusters=k, n_init=n, pretraining=pretraining).fit(X)
        for k, n in ((2, 1), (3, 1), (3, 9))
    ]
    assert len({str(dec.history_["pretraining"]) for dec in fits}) == 1
    assert layers(fits[0], "decoder") == layers(fits[1], "decoder")
    assert layers(fits[0], "decoder") == layers(fits[2], "decoder")
