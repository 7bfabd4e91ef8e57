"""Kernels by name, in which every pair of rows is evaluated alike.

Products come from `ExactRows`. All else is done entry by entry, and functions in whole
vectors: processors may round the entries beyond the last whole vector otherwise.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sklearn.metrics.pairwise import manhattan_distances

from skdeepcluster.utils._exact_products import ExactRows, row_exponents, scaled_rows

# Numbers in the longest vectors of processors, and more.
_VECTOR = 64

OF_PRODUCTS = ("cosine", "linear", "poly", "rbf", "sigmoid")
OF_DIFFERENCES = ("additive_chi2", "chi2", "laplacian")


class NamedKernel:
    """A kernel of any rows with the training rows.

    Where a factor of all rows is one of the kernel, small rows are multiplied by a
    power of two first, so that no product vanishes: see `exponent`.

    Parameters
    ----------
    X_fit : {ndarray, CSR matrix} of shape (n, d), float64
    name : str
    gamma : float or None
        None takes 1 over the number of features, and for "chi2" 1.
    degree, coef0 : float

    Attributes
    ----------
    exponent : float
        The kernel is ``2 ** exponent`` times what is returned.
    """

    def __init__(self, X_fit, name, gamma, degree, coef0):
        self.name = name
        self.degree, self.coef0 = degree, coef0
        default = 1.0 if name == "chi2" else 1 / X_fit.shape[1]
        self.gamma = default if gamma is None else gamma
        # Of the rows, in the kernel.
        power = {"linear": 2, "additive_chi2": 1, "poly": 2 * degree}.get(name, 0)
        if name == "poly" and coef0 != 0:
            power = 0
        largest = int(row_exponents(X_fit).max())
        self._shift = min(largest, 0) if power else 0
        self.exponent = float(power * self._shift)
        self._sparse = sp.issparse(X_fit)
        if name in OF_PRODUCTS:
            self._fit = ExactRows(X_fit)
        else:
            self._fit = self._differing(X_fit)

    def matrix(self, X):
        """Kernels of rows, (m, d), with the training rows, (m, n)."""
        X = self._as_fitted(X)
        if self.name in OF_PRODUCTS:
            rows = ExactRows(X)
            flat, values = _whole_vectors(X.shape[0], self._fit.shape[0])
            self._fit.products(rows, values)
            at, others = rows.exponents[:, None], self._fit.exponents
            pairs = rows.squares[:, None], self._fit.squares
            self._from_products(values, pairs, at, others)
        else:
            flat, values = self._distances(self._differing(X), self._fit)
        self._apply(flat)
        return values

    def squares(self, X):
        """Kernels of rows with themselves, (m,), as `matrix` gives them."""
        flat, values = _whole_vectors(1, X.shape[0])
        if self.name in OF_PRODUCTS:
            rows = ExactRows(self._as_fitted(X))
            values[:] = rows.squares
            pairs = rows.squares, rows.squares
            self._from_products(values, pairs, rows.exponents, rows.exponents)
        self._apply(flat)
        return values[0]

    def _as_fitted(self, X):
        """Rows in the container of the training rows."""
        if self._sparse and not sp.issparse(X):
            return sp.csr_matrix(X)
        return X.toarray() if sp.issparse(X) and not self._sparse else X

    def _from_products(self, values, pairs, exponents, others):
        """What a kernel is a function of, in place of products of mantissas."""
        if self.name == "cosine":
            norms = np.sqrt(pairs[0] * pairs[1])
            np.divide(values, norms, out=values, where=norms > 0)
            return
        np.ldexp(values, exponents + others - 2 * self._shift, out=values)
        if self.name == "rbf":
            # Of a row with itself exactly 0.
            own, other = (
                np.ldexp(square, 2 * exponent)
                for square, exponent in zip(pairs, (exponents, others), strict=True)
            )
            values *= -2
            values += own + other
            values.clip(0, out=values)
            values[~np.isfinite(values)] = np.nan

    def _differing(self, X):
        """Rows as `_distances` takes them."""
        X = self._as_fitted(X)
        if self._sparse and self.name != "laplacian":
            raise TypeError(
                f"kernel={self.name!r} needs dense data, got a sparse matrix; use "
                ".toarray()."
            )
        if self.name != "laplacian" and X.min() < 0:
            raise ValueError(
                f"X should be >= 0 with kernel={self.name!r}, got {X.min()}."
            )
        if self._shift:
            X = scaled_rows(X, np.full(X.shape[0], -self._shift))
        return X if self._sparse else np.ascontiguousarray(X.T)

    def _distances(self, columns, others):
        """Sums over features, one after the other, for all pairs of rows."""
        if self._sparse:
            flat, values = _whole_vectors(columns.shape[0], others.shape[0])
            values[:] = manhattan_distances(columns, others)  # pair by pair
            return flat, values
        flat, values = _whole_vectors(columns.shape[1], others.shape[1])
        term, total = np.empty_like(values), np.empty_like(values)
        for column, other in zip(columns, others, strict=True):
            np.subtract(column[:, None], other, out=term)
            if self.name != "laplacian":
                np.add(column[:, None], other, out=total)
                share = np.divide(term, total, out=total, where=total > 0)
                term *= share
            values += np.abs(term, out=term)
        return flat, values

    def _apply(self, flat):
        """The kernel's function, in place, of whole vectors."""
        if self.name in ("poly", "sigmoid"):
            flat *= self.gamma
            flat += self.coef0
        if self.name == "poly":
            np.power(flat, self.degree, out=flat)
        elif self.name == "sigmoid":
            np.tanh(flat, out=flat)
        elif self.name == "additive_chi2":
            np.negative(flat, out=flat)
        elif self.name in ("rbf", "laplacian", "chi2"):
            flat *= -self.gamma
            np.exp(flat, out=flat)


def _whole_vectors(n_rows, n_columns):
    """Zeros: memory of whole vectors, and the matrix at its start."""
    size = n_rows * n_columns
    flat = np.zeros(-(-size // _VECTOR) * _VECTOR)
    return flat, flat[:size].reshape(n_rows, n_columns)
