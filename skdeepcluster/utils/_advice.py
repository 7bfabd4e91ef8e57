"""What to do about rows that scikit-learn refuses: one more sentence for its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Columns that are named in an error, at most.
_MOST_NAMED = 5


def advice(error: Exception, X: Any, estimator: Any) -> str | None:
    """What a user can do about rows that were refused.

    Parameters
    ----------
    error : ValueError, TypeError or OverflowError
        Of :func:`~sklearn.utils.validation.validate_data`.
    X : array-like
        The rows.
    estimator : BaseEstimator
        Which refused them.

    Returns
    -------
    advice : str or None
        None where scikit-learn's own words say all.
    """
    text = str(error)
    if isinstance(error, OverflowError):
        return "All entries of X should fit into float64."
    if "with dim" in text or "CSR must be" in text:
        return _for_images(np.shape(X), estimator)
    if "could not convert string" in text:
        return _for_texts(X)
    if "inhomogeneous" in text or "array element with a sequence" in text:
        return "All rows of X should have the same number of features, each one number."
    if "one element tensors" in text or "must be a string" in text:
        return "All entries of X should be numbers."
    if getattr(getattr(X, "dtype", None), "names", None):
        return (
            "Pass the fields of a structured array as columns: "
            "numpy.lib.recfunctions.structured_to_unstructured(X)."
        )
    if "DateTime64" in text or "TimeDelta64" in text:
        return (
            "Make numbers of columns of dates and durations first, for example with "
            "astype('int64')."
        )
    return None


def _for_images(shape: tuple[int, ...], estimator: Any) -> str:
    """How rows are made of images, and images of rows."""
    flat, image = "X.reshape(len(X), -1)", shape[1:]
    if len(image) == 3 and image[-1] in (1, 3, 4) and image[0] not in (1, 3, 4):
        flat = "X.transpose(0, 3, 1, 2).reshape(len(X), -1)"
        image = (image[-1], *image[:-1])
    said = f"Pass images as rows, {flat}"
    if len(image) in (2, 3) and hasattr(estimator, "architecture"):
        said += (
            f"; architecture=ConvAutoencoder(image_shape={tuple(image)}) gives them "
            "their shape back"
        )
    return said + "."


def _for_texts(X: Any) -> str:
    """How numbers are made of texts, or of columns of categories."""
    texts = np.asarray(X)
    one_column = texts.ndim == 1 or (texts.ndim == 2 and texts.shape[1] == 1)
    if one_column and not _has_categories(X):
        return (
            "Make numbers of texts first, for example with a TfidfVectorizer, which "
            "takes a 1d sequence of them."
        )
    named = ", ".join(map(repr, _text_columns(X, texts)))
    return (
        "Encode columns of text or categories first, for example with a "
        f"ColumnTransformer. Here they are {named}."
    )


def _has_categories(X: Any) -> bool:
    """Whether a data frame, or a column of one, says so."""
    kinds = np.ravel(np.array(getattr(X, "dtypes", ()), dtype=object))
    return any(str(kind) == "category" for kind in kinds)


def _text_columns(X: Any, texts: NDArray) -> list[Any]:
    """Names or numbers of the columns that are no numbers, the first few."""
    names = list(getattr(X, "columns", range(texts.shape[-1])))
    found = [name for name, part in zip(names, texts.T, strict=True) if not _fits(part)]
    return found[:_MOST_NAMED] + ["..."] * (len(found) > _MOST_NAMED)


def _fits(values: NDArray) -> bool:
    try:
        values.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True
