"""What network, and which of its layers is the embedding; trains nothing."""

from skdeepcluster.architectures._base import (
    DEFAULT_EMBEDDING_SIZE,
    Architecture,
    AutoencoderModule,
    GeneratorDropout,
    Linear,
)
from skdeepcluster.architectures._bounded import BoundedEmbedding
from skdeepcluster.architectures._concatenated import ConcatenatedLayers
from skdeepcluster.architectures._conv import ConvAutoencoder
from skdeepcluster.architectures._identity import IdentityArchitecture
from skdeepcluster.architectures._mlp import MLPAutoencoder
from skdeepcluster.architectures._unpooling import UnpoolingAutoencoder

__all__ = [
    "DEFAULT_EMBEDDING_SIZE",
    "Architecture",
    "AutoencoderModule",
    "BoundedEmbedding",
    "ConcatenatedLayers",
    "ConvAutoencoder",
    "GeneratorDropout",
    "IdentityArchitecture",
    "Linear",
    "MLPAutoencoder",
    "UnpoolingAutoencoder",
]
