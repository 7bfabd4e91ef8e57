r"""The last layer of a classifier, and the usual one: softmax.

.. math:: \ell_i = W z_i + b
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdeepcluster.kmeans._assignment import explicit_distances
from skdeepcluster.objectives._base import (
    Batch,
    Objective,
    TensorSpec,
    in_double,
    like,
)
from skdeepcluster.objectives._softmax import linear_scores
from skdeepcluster.utils._reduce import Reduce, identity


class ClassHead(Objective):
    """Last layer and loss of a classifier; subclasses say which.

    Parameters
    ----------
    codes : Tensor of shape (n_samples,), int64
        Number of the class of every row of the data, in ``range(n_classes)``.
    n_classes : int
    """

    #: None where a head is kept without the rows that it was trained on.
    codes: Tensor | None

    def __init__(self, codes: Tensor, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.register_buffer("codes", codes, persistent=False)

    def logits(self, z: Tensor) -> Tensor:
        """Logits (n, k), with gradient, in z's dtype."""
        raise NotImplementedError

    def log_q(self, z: Tensor) -> Tensor:
        """Log of the probabilities (n, k), whose rows sum to 1, with gradient."""
        return self.logits(z).log_softmax(dim=1)

    def log_confidence(self, z: Tensor) -> Tensor:
        """Log of the confidences (n, k), which need not sum to 1."""
        return self.log_q(z)

    def margin(self, z: Tensor) -> Tensor:
        """Distance (n,) of each row to the nearest place of another decision."""
        raise NotImplementedError

    @torch.no_grad()
    def scores(self, z: Tensor) -> Tensor:
        """Logits (n, k) in float64."""
        return self.logits(in_double(z))

    @torch.no_grad()
    def soft_assign(self, z: Tensor) -> Tensor:
        """Probabilities (n, k) in float64, rows summing to 1."""
        return self.log_q(in_double(z)).exp()

    @torch.no_grad()
    def confidence(self, z: Tensor) -> Tensor:
        """Confidences (n, k) in float64, each at most 1."""
        return self.log_confidence(in_double(z)).exp()

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Most probable class of each row, (n,)."""
        return self.scores(z).argmax(dim=1)

    def _codes_of(self, batch: Batch) -> Tensor:
        if self.codes is None or batch.index is None:
            raise ValueError(
                f"{type(self).__name__} needs the classes of all rows, and batch.index."
            )
        return self.codes[batch.index]


class SoftmaxHead(ClassHead):
    r"""Cross-entropy of a softmax layer, :math:`\ell_i = W z_i + b`.

    Parameters
    ----------
    codes : Tensor of shape (n_samples,), int64
        Number of the class of every row of the data.
    n_classes : int
    """

    def __init__(self, codes: Tensor, n_classes: int) -> None:
        super().__init__(codes, n_classes)
        self.weight = nn.Parameter(torch.empty(0))
        self.bias = nn.Parameter(torch.empty(0))

    def initialise(
        self,
        z: Tensor,
        weight: Tensor | None,
        rng: torch.Generator,
        reduce: Reduce = identity,
    ) -> None:
        """Draw the layer: weights from U(-a, a) with a = d ** -0.5, no bias."""
        limit = max(1, z.shape[1]) ** -0.5
        drawn = torch.empty(self.n_classes, z.shape[1], dtype=torch.float32)
        self.weight = nn.Parameter(drawn.uniform_(-limit, limit, generator=rng).to(z))
        self.bias = nn.Parameter(z.new_zeros(self.n_classes))

    def expected_state(self, n_rows: int, size: int) -> dict[str, TensorSpec]:
        """The layer."""
        return {
            "weight": TensorSpec((self.n_classes, size)),
            "bias": TensorSpec((self.n_classes,)),
        }

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of each row to its class, (b,)."""
        return cross_entropy(
            self.logits(batch.z), self._codes_of(batch), reduction="none"
        )

    def logits(self, z: Tensor) -> Tensor:
        """Scores of the layer, (n, k)."""
        return linear_scores(z, self.weight, self.bias)

    @torch.no_grad()
    def margin(self, z: Tensor) -> Tensor:
        r"""Distance to the nearest hyperplane between the row's class and another.

        .. math:: \min_k (\ell_a - \ell_k) / \lVert w_a - w_k \rVert
        """
        z = in_double(z)
        logits, weight = self.logits(z), like(self.weight, z)
        best = logits.argmax(dim=1)
        lengths = explicit_distances(weight, weight)[best]
        return least_ratio(logits, best, lengths)


def least_ratio(logits: Tensor, best: Tensor, lengths: Tensor) -> Tensor:
    """Least lead over another class in terms of `lengths`; 0 for a tie."""
    lead = logits.amax(dim=1, keepdim=True) - logits
    ratios = torch.where(lead > 0, lead / lengths, 0.0)
    return ratios.scatter(1, best.unsqueeze(1), torch.inf).amin(dim=1)
