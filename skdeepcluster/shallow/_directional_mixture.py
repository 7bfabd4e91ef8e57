"""What a fitted mixture of von Mises-Fisher distributions does with rows."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClusterMixin, DensityMixin
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.engine import RandomStreams
from skdeepcluster.kmeans.directional import (
    VonMisesFisherParameters,
    infer_mixture,
    sample_von_mises_fisher,
)
from skdeepcluster.kmeans.matrices import unit_blocks
from skdeepcluster.shallow._base import BaseDirectionalEstimator, answer_dtype
from skdeepcluster.utils._numbers import is_integer
from skdeepcluster.utils._torch_settings import own_torch_settings


class DirectionalMixture(ClusterMixin, DensityMixin, BaseDirectionalEstimator):
    """Density, memberships and samples from `weights_`, `means_`, `concentrations_`."""

    @own_torch_settings()
    def _infer(self, X, matrix=None):
        """Memberships, in X's dtype, and log densities of validated rows."""
        parameters = VonMisesFisherParameters(
            self.weights_, self.means_, self.concentrations_
        )
        matrix = self._matrix(X) if matrix is None else matrix
        memberships, log_density = infer_mixture(unit_blocks(matrix), parameters)
        return memberships.astype(answer_dtype(X), copy=False), log_density

    def predict(self, X):
        """Component of each row: the argmax of ``predict_proba(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the components, from 0 on.
        """
        return self.predict_proba(X).argmax(axis=1).astype(np.int32)

    def predict_proba(self, X):
        """Probabilities of the components given each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        P : ndarray of shape (n_samples, n_components)
            Rows sum to 1; in X's dtype. For a row of zeros the mixing weights.
        """
        check_is_fitted(self)
        return self._infer(self._validate(X, reset=False))[0]

    def score_samples(self, X):
        """Log density of each row's direction on the unit sphere.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of any length.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            float64, whatever the dtype of X. For a row of zeros the log density of
            the uniform distribution.
        """
        check_is_fitted(self)
        return self._infer(self._validate(X, reset=False))[1]

    def score(self, X, y=None, sample_weight=None):
        """Mean log-likelihood of rows, as mixtures of scikit-learn give it.

        Unlike the `score` of the other clusterers of this package; densities of data
        of different numbers of features cannot be compared.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of any length; rows of zeros are left out.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row.

        Returns
        -------
        log_likelihood : float
            Mean over the rows, by `sample_weight`, without rows of zeros.
        """
        return self._mean_likelihood(X, sample_weight)[0]

    @own_torch_settings()
    def _mean_likelihood(self, X, sample_weight):
        """Mean log density of rows that have a direction, and their weight."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        weight = self._validate_weight(sample_weight, X)
        X, weight = self._heavy(X, weight), weight[weight > 0].numpy()
        matrix = self._matrix(X)
        weight = np.where(matrix.norms.numpy() > 0, weight, 0)
        if not weight.any():
            raise ValueError(
                "X should have a row that is not zero and has a positive weight, got "
                "none."
            )
        total = weight.sum()
        return float(self._infer(X, matrix)[1] @ weight / total), float(total)

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, mostly those of `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; their sum counts as the number of rows.

        Returns
        -------
        bic : float
            The lower, the better.
        """
        mean, total = self._mean_likelihood(X, sample_weight)
        return -2 * mean * total + self._n_parameters() * np.log(total)

    def aic(self, X, sample_weight=None):
        """Akaike information criterion; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, mostly those of `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; their sum counts as the number of rows.

        Returns
        -------
        aic : float
            The lower, the better.
        """
        mean, total = self._mean_likelihood(X, sample_weight)
        return -2 * mean * total + 2 * self._n_parameters()

    def _n_parameters(self):
        """Number of free parameters: angles, concentrations and weights."""
        k = self.n_components
        angles = k * (self.n_features_in_ - 1)
        concentrations = 1 if self.tied_concentration else k
        return angles + concentrations + (0 if self.equal_weights else k - 1)

    def sample(self, n_samples=1):
        """Draw directions from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows of length 1, component by component.
        y : ndarray of shape (n_samples,)
            Their components.
        """
        check_is_fitted(self)
        if not is_integer(n_samples) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} should be >= 1, an int.")
        streams = RandomStreams.from_random_state(self.random_state)
        random = np.random.Generator(np.random.PCG64(streams.seed("samples")))
        counts = random.multinomial(n_samples, self.weights_ / self.weights_.sum())
        drawn = [
            sample_von_mises_fisher(mean, concentration, count, random)
            for mean, concentration, count in zip(
                self.means_, self.concentrations_, counts, strict=True
            )
        ]
        labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return np.concatenate(drawn), labels
