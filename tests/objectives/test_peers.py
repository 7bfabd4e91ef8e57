"""Values of ClustPy 0.0.3, which wrote the same formulas down on its own.

They were computed once, in float64, by ``clustpy.deep.dec._dec_predict``,
``_dec_compression_value`` and ``_dec_compression_loss_fn``,
``clustpy.deep.dcn._compute_centroids`` and ``_DCN_Module.dcn_loss``, and
``clustpy.deep.dkm._DKM_Module``. Gradients are those of the mean over the rows.
"""

import pytest
import torch

from skdeepcluster.objectives import (
    Batch,
    Hardening,
    HardKMeans,
    Reconstruction,
    RunningKMeans,
    SoftKMeans,
    annealing_schedule,
    target_distribution,
)

TOLERANCE = {"rtol": 0, "atol": 1e-12}
# ClustPy adds 1e-8 under the logarithm of its loss.
LOSS_TOLERANCE = {"rtol": 0, "atol": 1e-7}

DEC = {
    1.0: {
        "q": [
            [0.649689376622928, 0.13654186074630215, 0.2137687626307698],
            [0.35388249768250535, 0.5052138289283136, 0.14090367338918103],
            [0.2350429009589626, 0.665954886050394, 0.09900221299064332],
            [0.2204125432216526, 0.16578037438893525, 0.6138070823894122],
            [0.4984740590030519, 0.20651068158697863, 0.2950152594099695],
            [0.22071656428778572, 0.09245735677941526, 0.686826078932799],
        ],
        "p": [
            [0.8551743457264757, 0.04641944063948161, 0.09840621363404281],
            [0.2722409528569521, 0.6818846023423062, 0.045874444800741626],
            [0.09046411207511348, 0.8924765271282086, 0.017059360796677872],
            [0.10062231580173192, 0.06995408250486075, 0.8294236016934073],
            [0.6316221642066504, 0.1332239827947038, 0.23515385299864586],
            [0.08689610453151583, 0.018738660207095612, 0.8943652352613886],
        ],
        "kl": 0.10143100265880867,
        "centers": [
            [0.01397292256784863, 0.04919406302889877],
            [-0.041873191082072214, 0.029632797407317415],
            [0.04868847563326537, -0.016478328279290716],
        ],
        "z": [
            [-0.014752443911567966, -0.0106817077727441],
            [-0.03522759138764963, -0.03569544067296819],
            [3.860748336936837e-05, -0.037320703396868514],
            [0.03654904852299589, 0.019683096709495924],
            [-0.009882327456632029, 0.025461414021184882],
            [0.00248649963044259, -0.02379519104502547],
        ],
    },
    2.5: {
        "q": [
            [0.6919865348806808, 0.10752435369858453, 0.20048911142073458],
            [0.3658108450438882, 0.5145292148601939, 0.11965994009591795],
            [0.226477824725169, 0.7071022472973703, 0.06641992797746085],
            [0.20834044161224477, 0.14182792771865785, 0.6498316306690975],
            [0.5007078049481616, 0.19887279687203474, 0.3004193981798036],
            [0.2031154132248756, 0.05697453060849077, 0.7399100561666336],
        ],
        "p": [
            [0.8932617868493488, 0.027432564874218694, 0.07930564827643258],
            [0.27551641898612605, 0.6933039505726621, 0.031179630441211754],
            [0.07412984433603173, 0.9191267763683915, 0.006743379295576882],
            [0.08418264989332132, 0.049621308411673136, 0.8661960416950055],
            [0.6323536132563305, 0.12688529989510583, 0.2407610868485636],
            [0.06607184777630365, 0.006612435795147107, 0.9273157164285492],
        ],
        "kl": 0.10422197344553963,
        "centers": [
            [0.008063578386071489, 0.05829159990366002],
            [-0.04675182160919982, 0.01827962782433732],
            [0.05540330613417489, -0.022180798969897216],
        ],
        "z": [
            [-0.01630709839480466, 0.0006742189182921687],
            [-0.03801925261218969, -0.03512098455578243],
            [-0.011580587839527843, -0.03697015749720554],
            [0.043123586424069944, 0.012230791313098614],
            [-0.007463752247399454, 0.024058711513877437],
            [0.013532041758805142, -0.019263008450380387],
        ],
    },
}
DKM = {
    0.5: {
        "loss": 1.2139801615038615,
        "g": [0.7895450274756004, 0.04454308241457717, 0.1659118901098225],
        "centers": [
            [0.03262729417768423, 0.011958889615614449],
            [-0.1469756249161701, 0.26865926261102535],
            [0.05181027347984998, -0.027925925089326287],
        ],
        "z": [-0.05893258293542961, -0.19348889041489306],
    },
    3.0: {
        "loss": 0.5540324756514058,
        "g": [0.9999138750775575, 3.223909054424035e-08, 8.609268335201612e-05],
        "centers": [
            [0.19416250258547935, 0.04180384596708601],
            [-0.026311960751612833, 0.3815679965574475],
            [0.10186285378315683, -0.036883731722533175],
        ],
        "z": [-0.06702632475147097, -0.23316514947493316],
    },
    1000.0: {
        "loss": 0.5316666666666666,
        "g": [1.0, 0.0, 0.0],
        "centers": [
            [0.16666666666666666, 0.033333333333333326],
            [-0.033333333333333354, 0.36666666666666664],
            [0.06666666666666665, -0.0333333333333333],
        ],
        "z": [-0.06666666666666667, -0.2333333333333333],
    },
}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


Z = double([[0.3, -1.2], [1.1, 0.4], [2.0, 0.5], [-0.7, 0.9], [0.2, 0.1], [-1.5, -0.4]])
CENTERS = double([[0.5, -0.5], [1.5, 1.0], [-1.0, 0.2]])
LABELS = [0, 1, 1, 2, 0, 2]


def at_centers(objective):
    objective._put_centers(CENTERS.clone())
    return objective


def batch_of(z, target=None):
    return Batch(x=z, z=z, target=target)


@pytest.mark.parametrize("alpha", DEC)
def test_hardening(alpha):
    expected = DEC[alpha]
    objective = at_centers(Hardening(3, alpha))
    q, p = objective.soft_assign(Z), objective.refresh(Z)
    torch.testing.assert_close(q, double(expected["q"]), **TOLERANCE)
    torch.testing.assert_close(p, double(expected["p"]), **TOLERANCE)
    torch.testing.assert_close(target_distribution(q), p, **TOLERANCE)
    z = Z.clone().requires_grad_()
    loss = objective.loss(batch_of(z, p)).mean()
    loss.backward()
    assert loss.item() == pytest.approx(expected["kl"], abs=1e-7)
    torch.testing.assert_close(z.grad, double(expected["z"]), **LOSS_TOLERANCE)
    torch.testing.assert_close(
        objective.centers.grad, double(expected["centers"]), **LOSS_TOLERANCE
    )


def test_reconstruction_of_idec_and_dcn():
    """``clustpy.deep._utils.mean_squared_error`` of these is 2.5."""
    x, x_hat = double([[1.0, 2.0], [0.0, 1.0]]), double([[0.0, 2.0], [2.0, 1.0]])
    loss = Reconstruction("sum").loss(Batch(x=x, z=x, x_hat=x_hat))
    assert loss.mean().item() == 2.5


@pytest.mark.parametrize("kind", [HardKMeans, RunningKMeans])
@pytest.mark.parametrize(
    "labels, expected",
    [(LABELS, 0.5316666666666666), ([1, 1, 2, 2, 0, 0], 3.4883333333333333)],
)
def test_hard_kmeans(kind, labels, expected):
    loss = at_centers(kind(3)).loss(batch_of(Z, torch.tensor(labels)))
    assert loss.mean().item() == pytest.approx(expected, abs=1e-12)


def test_running_kmeans():
    objective = at_centers(RunningKMeans(3))
    assert objective.after_step(batch_of(Z)).tolist() == LABELS
    first = [
        [0.4950980392156863, -0.5009803921568627],
        [1.5009803921568627, 0.9892156862745098],
        [-1.0019607843137255, 0.20098039215686275],
    ]
    torch.testing.assert_close(objective.centers, double(first), **TOLERANCE)
    assert objective.after_step(batch_of(1.5 * Z)).tolist() == LABELS
    second = [
        [0.4927884615384615, -0.5072115384615384],
        [1.5168269230769231, 0.9831730769230771],
        [-1.0144230769230769, 0.20432692307692307],
    ]
    torch.testing.assert_close(objective.centers, double(second), **TOLERANCE)
    assert objective.counts.tolist() == [104.0] * 3


def test_running_kmeans_with_small_counts():
    objective = at_centers(RunningKMeans(3))
    objective.counts.copy_(double([1.0, 2.0, 3.0]))
    objective.after_step(batch_of(Z))
    expected = [[1 / 3, -1.6 / 3], [1.525, 0.725], [-1.04, 0.22]]
    torch.testing.assert_close(objective.centers, double(expected), **TOLERANCE)
    assert objective.counts.tolist() == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("alpha", DKM)
def test_soft_kmeans(alpha):
    expected = DKM[alpha]
    objective = at_centers(SoftKMeans(3, alpha))
    z = Z.clone().requires_grad_()
    loss = objective.loss(batch_of(z)).mean()
    loss.backward()
    assert loss.item() == pytest.approx(expected["loss"], abs=1e-12)
    g = objective.soft_assign(Z)[0]
    torch.testing.assert_close(g, double(expected["g"]), **TOLERANCE)
    torch.testing.assert_close(z.grad[0], double(expected["z"]), **TOLERANCE)
    torch.testing.assert_close(
        objective.centers.grad, double(expected["centers"]), **TOLERANCE
    )


def test_annealing_schedule():
    first = [0.1, 0.42320861065570825, 0.7515684111296623, 1.077971160195895]
    assert annealing_schedule()[:4] == pytest.approx(first, abs=1e-14)
