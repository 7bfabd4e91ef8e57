"""Every estimator with a network on a GPU: promises, and answers near the CPU's."""

import copy
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from estimators import (
    N_SAMPLES,
    NETWORKS,
    TINY,
    WIDE,
    X,
    answers,
    each,
    each_deep,
    each_network,
    fresh,
    known,
    name_of,
)
from interruptions import Interruptions, outcome
from scipy.sparse import csr_array
from stores import Store

from skdeepcluster import (
    DCN,
    DEC,
    DEKM,
    IDEC,
    MIADM,
    SphericalKMeans,
    VonMisesFisherMixture,
)
from skdeepcluster.architectures import ConvAutoencoder, UnpoolingAutoencoder
from skdeepcluster.engine import Compute, _progress, _recording
from skdeepcluster.engine._lanes import Lane
from skdeepcluster.kmeans import kmeans
from skdeepcluster.objectives import Reconstruction
from skdeepcluster.utils import _stored

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator"),
]
WEIGHT = np.arange(N_SAMPLES) % 3 * 1.0
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
# Where hundreds of steps do not yet have time to bring roundings apart.
SHORT = {"batch_size": 16, "device": DEVICE}


def on_device(estimator, **params):
    return fresh(estimator, **{**known(estimator, SHORT), **params})


class Counted(_recording.Recording):
    """Counts the recordings and the steps that they take."""

    made = taken = 0

    def __init__(self, *args):
        super().__init__(*args)
        type(self).made += 1

    def replay(self, batch):
        type(self).taken += 1
        return super().replay(batch)


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(_recording, "Recording", Counted)
    monkeypatch.setattr(Counted, "made", 0)
    monkeypatch.setattr(Counted, "taken", 0)
    return Counted


def on_host(estimator, **params):
    return on_device(estimator, **{**params, "device": "cpu"})


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@each_network
def test_fits_in_every_precision(estimator, precision):
    model = on_device(estimator, precision=precision).fit(X)
    if hasattr(model, "labels_"):
        np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert {p.device.type for p in model.module_.parameters()} <= {"cpu"}
    assert {p.device.type for p in model.objective_.parameters()} <= {"cpu"}


@each_network
def test_in_float64_ends_where_the_cpu_does(estimator):
    """But for noise, which every device draws from its own generator."""
    if hasattr(estimator, "augmentation"):
        pytest.skip("draws noise")
    found = answers(on_device(estimator, precision="float64").fit(X))
    expected = answers(on_host(estimator, precision="float64").fit(X))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], **CLOSE)


@each_network
def test_the_same_seed_gives_the_same_model(estimator):
    first, second = (on_device(estimator).fit(X) for _ in range(2))
    for name, expected in answers(first).items():
        np.testing.assert_allclose(answers(second)[name], expected, **CLOSE)


def without_recordings(monkeypatch):
    monkeypatch.setattr(_progress, "can_record", lambda device, *modules: False)


LONGER = {"batch_size": 8, "max_iter": 5}


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@each_network
def test_replayed_steps_end_where_taken_ones_do(
    estimator, precision, counted, monkeypatch
):
    params = {**known(estimator, LONGER), "precision": precision}
    found = answers(on_device(estimator, **params).fit(X, sample_weight=WEIGHT))
    assert counted.taken > counted.made > 0
    without_recordings(monkeypatch)
    counted.made = 0
    expected = on_device(estimator, **params).fit(X, sample_weight=WEIGHT)
    expected = answers(expected)
    assert counted.made == 0
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], **CLOSE)


@pytest.mark.parametrize("method", [DCN, DEC, IDEC])
def test_replayed_noise_is_drawn_anew(method, counted, monkeypatch):
    """And is that of steps that are taken one by one."""
    params = {**TINY, "batch_size": 8, "max_iter": 4, "pretraining": "layerwise"}
    model = method(3, **params, device=DEVICE, random_state=0)
    found = copy.deepcopy(model).fit(X)
    assert counted.taken > 20
    without_recordings(monkeypatch)
    expected = copy.deepcopy(model).fit(X)
    np.testing.assert_allclose(found.transform(X), expected.transform(X), **CLOSE)
    losses = found.history_["pretraining"]["layer_loss"][0]
    assert len(set(losses)) == len(losses)


def test_what_cannot_be_recorded_is_taken_step_by_step(monkeypatch, counted):
    """A loss that asks for a value of the device in every step."""
    monkeypatch.setattr(Lane.of(torch.device(DEVICE)), "records", True)
    params = {**TINY, "batch_size": 8, "max_iter": 4, "pretraining": "layerwise"}
    model = DCN(3, **params, device=DEVICE, random_state=0)
    expected = copy.deepcopy(model).fit(X)
    assert counted.made > 0
    counted.made = 0
    loss = Reconstruction.loss

    def asking(self, batch):
        errors = loss(self, batch)
        assert errors.mean().item() >= 0
        return errors

    monkeypatch.setattr(Reconstruction, "loss", asking)
    found = copy.deepcopy(model).fit(X)
    assert counted.made == 0
    np.testing.assert_allclose(found.transform(X), expected.transform(X), **CLOSE)
    assert not Lane.of(torch.device(DEVICE)).records
    torch.cuda.empty_cache()


@pytest.mark.parametrize("method", [DCN, DEC, MIADM])
def test_replayed_convolutions_end_where_taken_ones_do(method, counted, monkeypatch):
    rows = np.random.RandomState(0).rand(60, 256)
    architecture = ConvAutoencoder((16, 16), dropout=(0.1, 0.1))
    params = {"pretrain_epochs": 2, "max_iter": 2, "batch_size": 8}
    model = method(3, architecture=architecture, **params, device=DEVICE)
    model.set_params(random_state=0, precision="float64")
    found = copy.deepcopy(model).fit(rows)
    assert counted.taken > counted.made > 0
    without_recordings(monkeypatch)
    expected = copy.deepcopy(model).fit(rows)
    np.testing.assert_allclose(found.transform(rows), expected.transform(rows), **CLOSE)


def test_further_fits_hold_no_further_memory():
    model = on_device(DEC(3, **TINY), batch_size=8, hidden_layer_sizes=(500, 500))
    held = []
    for _ in range(6):
        copy.deepcopy(model).fit(X)
        gc.collect()
        held.append(torch.cuda.memory_reserved())
    assert held[-1] == held[1]


def test_fits_in_threads(counted):
    models = [on_device(DCN(3, **TINY), batch_size=8, max_iter=8) for _ in range(4)]
    expected = copy.deepcopy(models[0]).fit(X).transform(X)
    with ThreadPoolExecutor(4) as threads:
        fitted = list(threads.map(lambda model: model.fit(X), models))
    assert counted.made > 4
    for model in fitted:
        np.testing.assert_allclose(model.transform(X), expected, **CLOSE)


@each_network
def test_a_row_has_the_same_bits_in_any_batch(estimator):
    model = on_device(estimator).fit(X)
    whole, order = answers(model), np.random.RandomState(0).permutation(N_SAMPLES)
    for name, expected in answers(model, X[order]).items():
        np.testing.assert_array_equal(expected, whole[name][order])
    for name, alone in answers(model, X[:1]).items():
        np.testing.assert_array_equal(alone, whole[name][:1])


@each_network
def test_other_kinds_of_rows(estimator, monkeypatch):
    precise = {"precision": "float64"}
    model = on_device(estimator, **precise).fit(X, sample_weight=WEIGHT)
    expected = answers(model)
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 0)
    looks_at_all = hasattr(estimator, "augmentation")  # and at the locality of rows
    for rows in (csr_array(X), *([] if looks_at_all else [Store(X)])):
        found = answers(on_device(estimator, **precise).fit(rows, sample_weight=WEIGHT))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], **CLOSE)


@each_network
def test_answers_of_the_cpu_are_near(estimator):
    model = on_device(estimator).fit(X)
    host = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    np.testing.assert_allclose(host.transform(X), model.transform(X), **CLOSE)
    if hasattr(model, "inverse_transform"):
        z = model.transform(X)
        near = host.inverse_transform(z)
        np.testing.assert_allclose(near, model.inverse_transform(z), **CLOSE)


@each_network
def test_an_interrupted_fit_goes_on(estimator, monkeypatch, tmp_path):
    expected = on_device(estimator, precision="float64").fit(X)
    model = on_device(estimator, precision="float64", checkpoint_dir=tmp_path)
    assert Interruptions(monkeypatch).fit_to_the_end(model, X, at=6) >= 1
    np.testing.assert_allclose(model.transform(X), expected.transform(X), **CLOSE)
    assert outcome(model)["n_iter"] == outcome(expected)["n_iter"]


def test_a_checkpoint_of_another_device_is_refused(monkeypatch, tmp_path):
    model = on_device(DEC(3, **TINY), checkpoint_dir=tmp_path)
    interruptions = Interruptions(monkeypatch)
    assert not interruptions.ends(model, X, at=6)
    with pytest.raises(ValueError, match="device was cuda, now cpu"):
        model.set_params(device="cpu").fit(X)


@each_deep
def test_warm_starts_and_pretrained_networks(estimator):
    first = on_device(estimator, warm_start=True).fit(X)
    labels = first.labels_
    second = copy.deepcopy(first).fit(X)
    np.testing.assert_array_equal(second.initial_labels_, labels)
    more = copy.deepcopy(first).set_params(pretrain_epochs=4).fit(X)
    np.testing.assert_array_equal(more.labels_, more.predict(X))
    assert more._pretrained_epochs == 4
    taken = on_device(estimator, pretrained=first, learning_rate=1e-30).fit(X)
    if not taken._decodes or not hasattr(estimator, "reconstruction_weight"):
        np.testing.assert_allclose(taken.transform(X), first.transform(X), **CLOSE)
    if hasattr(first, "partial_fit"):
        first.partial_fit(X[:20])
        np.testing.assert_array_equal(first.labels_, first.predict(X[:20]))


@each([e for e in NETWORKS if name_of(e) in {"DEC", "DEKM", "IDEC"}])
def test_at_the_default_width(estimator):
    model = on_device(estimator, **known(estimator, WIDE)).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))


@pytest.mark.parametrize("architecture", [ConvAutoencoder, UnpoolingAutoencoder])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", [DEC, DEKM, IDEC])
def test_convolutions(method, precision, architecture):
    rows = np.random.RandomState(0).rand(40, 256)
    model = method(
        3,
        architecture=architecture(image_shape=(16, 16)),
        pretrain_epochs=2,
        max_iter=2,
        batch_size=16,
        precision=precision,
        device=DEVICE,
        random_state=0,
    ).fit(rows)
    np.testing.assert_array_equal(model.labels_, model.predict(rows))


def test_spherical_kmeans_finds_the_labels_of_the_cpu():
    rows = X - X.mean(axis=0)
    host, device = (
        SphericalKMeans(3, device=name, random_state=0).fit(rows)
        for name in ("cpu", DEVICE)
    )
    np.testing.assert_array_equal(device.labels_, host.labels_)


@pytest.mark.parametrize("fuzziness", [1.0, 1.5])
@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_spherical_kmeans_of_more_rows_than_a_block(form, fuzziness):
    params = {"fuzziness": fuzziness, "random_state": 0}
    rows = np.random.RandomState(0).normal(size=(40_000, 3)).astype(np.float32)
    host, device = (
        SphericalKMeans(4, device=name, **params).fit(form(rows))
        for name in ("cpu", DEVICE)
    )
    assert device.inertia_ == pytest.approx(host.inertia_, rel=1e-9)
    np.testing.assert_array_equal(device.labels_, device.predict(form(rows)))
    assert (device.labels_ == host.labels_).mean() > 0.999


def test_a_mixture_of_more_rows_than_a_block():
    noise = np.random.RandomState(0).normal(size=(20_000, 3)).astype(np.float32)
    rows = np.tile(5 * np.eye(3, dtype=np.float32), (7000, 1))[:20_000] + noise
    host, device = (
        VonMisesFisherMixture(3, device=name, random_state=0).fit(rows)
        for name in ("cpu", DEVICE)
    )
    np.testing.assert_allclose(device.means_, host.means_, **CLOSE)
    np.testing.assert_array_equal(device.labels_, device.predict(rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_finds_what_it_finds_on_the_cpu(dtype, weighted):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(30_000, 5, generator=rng, dtype=dtype)
    weight = torch.rand(len(x), generator=rng) if weighted else None
    found = [
        kmeans(
            x.to(device),
            7,
            generator=torch.Generator().manual_seed(1),
            weight=None if weight is None else weight.to(device),
            n_init=2,
        )
        for device in ("cpu", DEVICE, DEVICE)
    ]
    host, device, again = found
    assert torch.equal(device.centers, again.centers)
    assert device.n_iter == host.n_iter
    assert torch.equal(device.labels.cpu(), host.labels)
    torch.testing.assert_close(device.centers.cpu(), host.centers)
    assert device.inertia == pytest.approx(host.inertia, rel=1e-9)


def test_auto_takes_it():
    assert Compute.resolve("auto", "float32").device.type == DEVICE
