"""What each method minimises, read off its phases without training anything."""

import math

import pytest

from skdeepcluster import (
    DCJC,
    DCN,
    DEC,
    DEKM,
    IDEC,
    DeepClustering,
    DeepKMeans,
)
from skdeepcluster.engine import Budget, Pretraining, Ramp, Reclustering
from skdeepcluster.objectives import (
    BalancedAssignment,
    ClusterClassification,
    Denoising,
    GroupSparsity,
    Hardening,
    HardKMeans,
    KMeansReadout,
    LocalityPreserving,
    MutualInformation,
    Reconstruction,
    RunningKMeans,
    ScatterReduction,
    SelfAugmentation,
    SoftKMeans,
)

BUDGET = Budget(10_000, 256)


def phases(estimator):
    return list(estimator._phases(BUDGET))


def losses(phase):
    """Type of each loss -> its weight."""
    return {type(objective): weight for objective, weight in phase.objectives.items()}


def only(phase, kind):
    return next(o for o in phase.objectives if isinstance(o, kind))


@pytest.mark.parametrize(
    "estimator, expected",
    [
        (DEC(), {Hardening: 1.0}),
        (IDEC(gamma=0.3), {Hardening: 0.3, Reconstruction: 1.0}),
        (DCN(clustering_weight=0.3), {RunningKMeans: 0.15, Reconstruction: 1.0}),
        (DeepKMeans(clustering_weight=2), {SoftKMeans: 2, Reconstruction: 1.0}),
        (DEKM(), {ScatterReduction: 1.0}),
        (DCJC(), {Hardening: 1.0, Reconstruction: 1.0}),
        (
            DCJC(clustering_loss="hard_kmeans", clustering_weight=0.1),
            {HardKMeans: 0.1, Reconstruction: 1.0},
        ),
        (DeepClustering(), {Hardening: 0.1, Reconstruction: 1.0}),
    ],
)
def test_losses_and_weights(estimator, expected):
    pretraining, clustering, *rest = phases(estimator)
    assert isinstance(pretraining, Pretraining)
    assert losses(clustering) == expected
    assert [type(phase) for phase in rest] == [Reclustering] * isinstance(
        estimator, DCJC
    )


def test_reconstruction_is_a_sum_where_the_paper_says_so():
    for estimator in (DCN(), DeepKMeans()):
        assert only(phases(estimator)[1], Reconstruction).reduction == "sum"
    for estimator in (IDEC(), DCJC()):
        assert only(phases(estimator)[1], Reconstruction).reduction == "mean"


def test_hard_deep_kmeans_is_the_limit():
    phase = phases(DeepKMeans(assignment="hard"))[1]
    assert only(phase, SoftKMeans).alpha == math.inf


def test_annealing_starts_without_pretraining_and_runs_to_its_end():
    (phase,) = phases(DeepKMeans(alpha="annealing", max_iter=80))
    assert phase.stop is None
    assert phase.epochs == 80
    kmeans = only(phase, SoftKMeans)
    alphas = []
    for epoch in range(80):
        kmeans.on_epoch(epoch)
        alphas.append(kmeans.alpha)
    assert alphas[::2] == alphas[1::2]
    assert len(set(alphas)) == 40
    assert alphas[-1] == pytest.approx(28.1325781475)


def test_reclustering_is_of_the_same_loss():
    _, clustering, reclustering = phases(DCJC())
    assert reclustering.clustering is clustering.clustering


# --- DeepClustering ---------------------------------------------------------


def composed(**params):
    return phases(DeepClustering(**params))


@pytest.mark.parametrize(
    "name, kind",
    [
        ("hardening", Hardening),
        ("soft_kmeans", SoftKMeans),
        ("hard_kmeans", HardKMeans),
        ("running_kmeans", RunningKMeans),
        ("scatter", ScatterReduction),
        ("classification", ClusterClassification),
        ("mutual_information", MutualInformation),
    ],
)
def test_names_of_losses_that_assign(name, kind):
    phase = composed(clustering_loss=name, n_clusters=7, n_init=5)[1]
    loss = phase.clustering
    assert type(loss) is kind
    assert (loss.n_clusters, loss.n_init) == (7, 5)


@pytest.mark.parametrize(
    "name, kind", [("locality", LocalityPreserving), ("group_sparsity", GroupSparsity)]
)
def test_losses_that_do_not_assign_leave_it_to_kmeans(name, kind):
    phase = composed(clustering_loss=name, clustering_weight=0.5)[1]
    assert losses(phase) == {kind: 0.5, KMeansReadout: 1.0, Reconstruction: 1.0}
    assert type(phase.clustering) is KMeansReadout


def test_no_clustering_loss():
    assert losses(composed(clustering_loss=None)[1]) == {
        KMeansReadout: 1.0,
        Reconstruction: 1.0,
    }


def test_several_losses_each_with_its_weight():
    names = ("balance", "hardening", "group_sparsity")
    phase = composed(clustering_loss=names, clustering_weight=(0.5, 0.1, 0.2))[1]
    assert losses(phase) == {
        BalancedAssignment: 0.5,
        Hardening: 0.1,
        GroupSparsity: 0.2,
        Reconstruction: 1.0,
    }
    assert only(phase, BalancedAssignment).clustering is phase.clustering


def test_an_objective_is_copied():
    mine = SoftKMeans(8, alpha=3.0)
    phase = composed(clustering_loss=(mine, BalancedAssignment(mine)))[1]
    assert phase.clustering is not mine
    assert phase.clustering.alpha == 3.0
    assert only(phase, BalancedAssignment).clustering is phase.clustering


def test_weights_of_zero_and_views():
    phase = composed(
        reconstruction_weight=0, augmentation=lambda x, g: x, augmentation_weight=0.7
    )[1]
    assert losses(phase) == {Hardening: 0.1, SelfAugmentation: 0.7}
    assert not phase.needs_reconstruction


def test_denoising_is_in_both_phases():
    pretraining, clustering = composed(denoising=0.3)
    assert pretraining.loss.dropout == 0.3
    assert only(clustering, Denoising).dropout == 0.3
    assert not clustering.needs_reconstruction  # of the clean input


def test_ramp():
    clustering = composed(schedule="ramp", clustering_weight=0.4, max_iter=10)[1]
    weight = clustering.objectives[clustering.clustering]
    assert weight == Ramp(0.4, 5)
    assert [weight.at(e) for e in (0, 1, 5, 9)] == pytest.approx([0, 0.08, 0.4, 0.4])
    assert clustering.stop.min_epochs == 5
    assert losses(clustering)[Reconstruction] == 1.0


def test_annealing_is_run_to_its_end():
    annealed = SoftKMeans(8, annealing_epochs=50)
    assert composed(clustering_loss=annealed)[1].stop is None
    assert composed(clustering_loss=SoftKMeans(8))[1].stop is not None


def test_joint_has_no_pretraining():
    (phase,) = composed(schedule="joint")
    assert phase.name == "clustering"


def test_alternating_takes_the_centres_from_the_optimizer():
    phase = composed(schedule="alternating")[1]
    assert phase.clustering.alternates
    assert not list(phase.clustering.parameters())
    assert not composed()[1].clustering.alternates


@pytest.mark.parametrize(
    "params, message",
    [
        ({"clustering_loss": ("hardening", "scatter")}, "Only one of"),
        ({"clustering_loss": ("hardening", "nonsense")}, "'clustering_loss'.*nonsense"),
        ({"clustering_loss": "balance"}, "'balance' needs .* soft assignments"),
        ({"clustering_loss": ("balance", "scatter")}, "'balance' needs"),
        ({"clustering_weight": (0.1, 0.2)}, "'clustering_weight'.*1 clustering"),
        ({"clustering_weight": (-0.1,)}, "'clustering_weight'"),
        ({"clustering_loss": (["hardening"],)}, "'clustering_loss'.*hardening"),
        ({"clustering_loss": ("hardening", "hardening")}, "must be distinct"),
        (
            {"clustering_loss": ("hardening", BalancedAssignment(Hardening(8)))},
            "must balance the clustering loss beside it",
        ),
        ({"clustering_loss": Hardening(3)}, "n_clusters=8 conflicts .*n_clusters=3"),
    ],
)
def test_conflicts(params, message):
    with pytest.raises(ValueError, match=message):
        composed(**params)
