"""Deep Embedded Clustering: given networks, and those that are pretrained."""

import numpy as np
import pandas as pd
import pytest
import torch
from dec_cases import X, Y, make_dec
from estimators import weights
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skdeepcluster import CentroidClassifier
from skdeepcluster.architectures import IdentityArchitecture, MLPAutoencoder


class Module(nn.Module):
    """A user's module: another bottleneck than ours, with batch statistics."""

    def __init__(self, d=5, k=3, norm=True):
        super().__init__()
        middle = [nn.BatchNorm1d(8)] if norm else []
        self.down = nn.Sequential(nn.Linear(d, 8), *middle, nn.ReLU(), nn.Linear(8, k))
        self.up = nn.Linear(k, d)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


# --- networks ---------------------------------------------------------------


def test_batches_of_one_row_have_no_statistics():
    match = "BatchNorm1d need at least 2 rows in every batch.*batch_size=1 with 31 rows"
    rows = X[:31]
    dec = make_dec(architecture=Module(), embedding_size=None, batch_size=1)
    dec.set_params(pretrain_epochs=1, max_iter=1)
    with pytest.raises(ValueError, match=match):
        dec.fit(rows)
    assert not hasattr(dec, "module_")
    # Of a last batch of one row the batch before takes care.
    dec.set_params(batch_size=2).fit(rows)
    dec.set_params(batch_size=30).fit(rows)
    with pytest.raises(ValueError, match="batch_size=30 with 1 rows to learn from"):
        clone(dec).set_params(n_clusters=1).fit(rows[:1])
    classifier = CentroidClassifier(architecture=Module(), batch_size=1, max_iter=1)
    with pytest.raises(ValueError, match=match):
        classifier.fit(rows, np.arange(31) % 2)


@pytest.mark.parametrize("norm", [False, True])
def test_a_module_is_copied_and_not_trained_in_place(norm):
    module = Module(norm=norm)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    dec = make_dec(architecture=module, embedding_size=None).fit(X)
    assert all(torch.equal(module.state_dict()[k], v) for k, v in before.items())
    assert module.training
    assert dec.module_ is not module
    assert not torch.equal(dec.module_.up.weight, before["up.weight"])
    assert dec.transform(X).shape == (120, 3)
    assert adjusted_rand_score(Y, dec.labels_) == 1.0


def test_weights_of_a_module_are_the_start():
    module = Module(norm=False)
    dec = make_dec(architecture=module, embedding_size=None, pretrain_epochs=0).fit(X)
    assert torch.equal(dec.module_.up.weight, module.up.weight)


@pytest.mark.parametrize("n", [81, 80, 40, 1 + 40])
def test_batch_statistics_never_see_a_single_row(n):
    dec = make_dec(architecture=Module(), embedding_size=None).fit(X[:n])
    together = dec.predict_proba(X)
    alone = dec.predict_proba(X[3:4])[0]
    np.testing.assert_allclose(alone, together[3], rtol=1e-6)


def test_float64_module_computes_in_the_precision():
    module = Module().double()
    dec = make_dec(architecture=module, embedding_size=None).fit(X)
    assert dec.module_.up.weight.dtype == torch.float32
    assert module.up.weight.dtype == torch.float64


def test_conflicting_embedding_size():
    with pytest.raises(ValueError, match="embedding_size=2 conflicts .* 3 columns"):
        make_dec(architecture=Module()).fit(X)


def test_architecture_object():
    architecture = MLPAutoencoder((6, 4), activation="tanh")
    dec = make_dec(architecture=architecture).fit(X)
    assert dec.get_params()["architecture__activation"] == "tanh"
    assert dec.architecture is architecture
    assert isinstance(dec.module_.encoder[0][1], nn.Tanh)


def test_without_a_network_only_centers_learn():
    dec = make_dec(architecture=IdentityArchitecture(), embedding_size=None).fit(X)
    centred = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    np.testing.assert_allclose(dec.transform(X), centred, atol=1e-6)
    np.testing.assert_allclose(dec.inverse_transform(dec.transform(X)), X, atol=1e-4)
    assert adjusted_rand_score(Y, dec.labels_) == 1.0
    start = [centred[dec.initial_labels_ == j].mean(axis=0) for j in range(3)]
    assert not np.allclose(
        np.sort(start, axis=0), np.sort(dec.cluster_centers_, axis=0)
    )


def test_layerwise_needs_an_architecture_with_pairs():
    dec = make_dec(architecture=Module(), embedding_size=None, pretraining="layerwise")
    with pytest.raises(ValueError, match="'layer_pairs'"):
        dec.fit(X)


# --- pretrained -------------------------------------------------------------


@pytest.fixture(scope="module")
def source():
    """Pretrained as usual, its encoder not moved by clustering."""
    return make_dec(learning_rate=1e-30, max_iter=1).fit(X)


def test_pretrained_equals_pretraining_in_one_go(source):
    whole = make_dec().fit(X)
    continued = make_dec(pretrained=source, pretrain_epochs=7).fit(X)
    assert weights(continued) == weights(whole)
    assert continued.labels_.tobytes() == whole.labels_.tobytes()
    assert list(continued.history_) == ["clustering"]


def test_pretrained_estimator_is_left_as_it_is(source):
    before = weights(source), source.predict_proba(X).tobytes()
    make_dec(pretrained=source, n_clusters=2, learning_rate=0.5).fit(X)
    assert (weights(source), source.predict_proba(X).tobytes()) == before
    assert not any(p.requires_grad for p in source.module_.parameters())


def test_pretrained_takes_scaling_and_network_but_no_architecture(source):
    other = make_dec(pretrained=source, hidden_layer_sizes=(99,), embedding_size=None)
    other.fit(X[:60] + 3)
    assert other._n_features_out == 2
    Z = np.zeros((1, 2))
    expected = source.inverse_transform(Z)
    np.testing.assert_array_equal(other.inverse_transform(Z), expected)


def test_pretrained_from_another_number_of_clusters(source):
    dec = make_dec(pretrained=source, n_clusters=2).fit(X)
    assert set(dec.labels_) == {0, 1}


def test_pretrained_conflicts(source):
    with pytest.raises(ValueError, match="embedding_size=3 conflicts .* 2 columns"):
        make_dec(pretrained=source, embedding_size=3).fit(X)
    with pytest.raises(ValueError, match="X has 4 features, but 'pretrained' .* 5"):
        make_dec(pretrained=source).fit(X[:, :4])
    with pytest.raises(ValueError, match="not fitted"):
        make_dec(pretrained=make_dec()).fit(X)
    with pytest.raises(TypeError, match="'pretrained' parameter.*Got PCA"):
        from sklearn.decomposition import PCA

        make_dec(pretrained=PCA().fit(X)).fit(X)


def frame(names):
    return pd.DataFrame(X, columns=list("abcde"))[list(names)]


def test_pretrained_knows_the_names_of_the_features():
    source = make_dec(max_iter=1).fit(frame("abcde"))
    make_dec(pretrained=source).fit(frame("abcde"))
    make_dec(pretrained=source).fit(X)
    for other in (frame("edcba"), frame("abcde").add_prefix("x")):
        with pytest.raises(ValueError, match="feature names should match those that"):
            make_dec(pretrained=source).fit(other)


def test_callers_may_have_turned_gradients_off():
    expected = make_dec().fit(X)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            found = make_dec().fit(X)
            assert found.predict(X).tobytes() == expected.labels_.tobytes()
        assert weights(found) == weights(expected)
        assert not any(p.is_inference() for p in found.module_.parameters())
