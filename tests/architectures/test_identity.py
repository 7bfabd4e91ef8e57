import pytest
import torch
from sklearn.base import clone

from skdeepcluster.architectures import (
    Architecture,
    AutoencoderModule,
    IdentityArchitecture,
)


def test_changes_nothing():
    module = IdentityArchitecture().build(3, 3)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module.encode(x), x)
    assert torch.equal(module.decode(x), x)
    assert isinstance(module, AutoencoderModule)


def test_has_nothing_to_learn():
    module = IdentityArchitecture().build(3, 3, torch.Generator())
    assert list(module.parameters()) == []


def test_embedding_size_is_the_number_of_features():
    architecture = IdentityArchitecture()
    assert isinstance(architecture, Architecture)
    assert architecture.default_embedding_size(17) == 17
    with pytest.raises(ValueError, match="embedding_size=2 and n_features=3"):
        architecture.build(3, 2)


def test_is_a_scikit_learn_object():
    assert clone(IdentityArchitecture()).get_params() == {}
