"""All centroids that one softmax layer may be said to have."""

import numpy as np

from skdeepcluster.theory._checks import check_indices

# Longer shifts than those of singular values above this cost digits of the distances.
_SMALLEST_SINGULAR = 1e-6
_TOLERANCE = 1e-12


class CentroidFamily:
    r"""All centroids of one softmax layer, around the mean of its weights.

    With :math:`a_k = w_k - \bar w` they are :math:`s a_k + u + t`, where u lies in the
    span of the a and solves the equations, and t is orthogonal to it and free.
    """

    def __init__(self, coef, intercept):
        self.coef, self.intercept = coef, intercept
        self.mean = coef.mean(axis=0)
        self.spread = coef - self.mean
        left, singular, right = np.linalg.svd(self.spread, full_matrices=False)
        kept = singular > _SMALLEST_SINGULAR * singular[0]
        self.left, self.singular = left[:, kept], singular[kept]
        self.right = right[kept]
        self.half_squares = (self.spread**2).sum(axis=1) / 2
        self.biases = intercept - intercept.mean()
        self.Z = self.y = None

    def see(self, Z, y):
        """Take rows, and their classes or the softmax's own decision."""
        logits = Z @ self.coef.T + self.intercept
        n_samples, n_classes = logits.shape
        own = logits.argmax(axis=1)
        self.Z, self.y = Z, own if y is None else check_indices(y, n_samples, n_classes)
        self.mean_logit = logits[np.arange(n_samples), self.y].mean()

    def shifted(self, scale):
        """Centroids, shift and scale; None where there is no shift."""
        if scale == "best":
            if not (self._solves(self.half_squares) and self._solves(self.biases)):
                return None
            scale = self._best_scale()
        target = scale * self.half_squares + self.biases
        if not self._solves(target):
            return None
        free = scale * self.mean if self.Z is None else self.Z.mean(axis=0)
        offset = self._solve(target) + free - self._along(free)
        return scale * self.spread + offset, offset - scale * self.mean, scale

    def lifted(self, scale):
        """Centroids with two coordinates more, no shift, and the scale."""
        centroids = np.column_stack([self.coef, self.intercept])
        squares = (centroids**2).sum(axis=1)
        height = np.sqrt(squares.max() - squares)
        if scale == "best":
            scale = _positive(self.mean_logit, squares.max())
        return scale * np.column_stack([centroids, height]), None, scale

    def friendliness(self, centroids):
        """Inertia of the rows in units of their total scatter."""
        rows = self.Z if centroids.shape[1] == self.Z.shape[1] else lift_rows(self.Z)
        total = ((self.Z - self.Z.mean(axis=0)) ** 2).sum()
        inertia = ((rows - centroids[self.y]) ** 2).sum()
        return float(inertia / total) if total > 0 else np.nan

    def _solve(self, target):
        """Shortest u for which ``target + spread @ u`` is the same for all classes."""
        target = target - target.mean()
        return -(self.left.T @ target / self.singular) @ self.right

    def _solves(self, target):
        rest = target + self.spread @ self._solve(target)
        size = np.abs(target).max()
        return np.ptp(rest) <= _TOLERANCE * max(size, self.half_squares.max())

    def _along(self, rows):
        """Part of rows in the span of the weights' differences."""
        return rows @ self.right.T @ self.right

    def _best_scale(self):
        """Least squares: in the span, the centroids are linear in the scale."""
        slope = (self.spread + self._solve(self.half_squares))[self.y]
        rest = self._along(self.Z) - self._solve(self.biases)
        return _positive((slope * rest).sum(), (slope**2).sum())


def lift_rows(Z):
    """Rows with two coordinates more, 1 and 0."""
    return np.column_stack([Z, np.ones(len(Z)), np.zeros(len(Z))])


def _positive(numerator, denominator):
    """Ratio that must be positive, to be a scale."""
    if not (numerator > 0 and denominator > 0):
        raise ValueError(
            "scale='best' finds no positive scale for these rows. Set scale to a "
            "number."
        )
    return float(numerator / denominator)
