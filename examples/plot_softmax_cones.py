"""
Softmax classification is k-means
=================================

The last layer of almost every classifier takes the greatest of a few linear functions.
That is the same as taking the nearest of a few centroids:
:func:`~skdeepcluster.theory.softmax_to_centroids` finds them, and
:func:`~skdeepcluster.theory.centroid_view` represents a fitted classifier in this way.
This example draws the centroids, and shows what they are good for: a distance to the
decision boundary, and with it a radius within which no attack can succeed.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skdeepcluster.theory import centroid_view

# %%
# Cones
# -----
# Three groups of points are classified by a logistic regression without and with a
# bias. The colours show its predictions; the crosses are the centroids, found from its
# weights alone, and the rings show their distances from the origin. Without a bias all
# centroids lie on one ring, and the regions are cones: a point and its multiples have
# the same class. A bias moves the tip of the cones away from the origin and the
# centroids off the ring.

X, y = make_blobs(
    [90, 90, 90], centers=[[3, 1], [-1, 3], [-2, -2]], cluster_std=0.8, random_state=0
)


def draw_cells(ax, X, y, view, extent=7):
    """Regions of a classifier, the rows, and the centroids."""
    ticks = np.linspace(-extent, extent, 300)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    cells = view.predict(grid).reshape(300, 300)
    n_classes = len(view.classes)
    style = {"cmap": "tab10", "vmin": 0, "vmax": 9}
    levels = np.arange(n_classes + 1) - 0.5
    ax.contourf(ticks, ticks, cells, levels, alpha=0.25, **style)
    ax.scatter(*X.T, c=y, s=6, **style)
    ax.set(aspect="equal", xlim=(-extent, extent), ylim=(-extent, extent))


fig, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for ax, fit_intercept in zip(axes, [False, True], strict=True):
    rows = X if not fit_intercept else X + [2.5, 1.0]
    model = LogisticRegression(C=0.05, fit_intercept=fit_intercept).fit(rows, y)
    view = centroid_view(model, rows, scale="best")
    draw_cells(ax, rows, y, view)
    for centroid in view.centroids:
        radius = np.linalg.norm(centroid)
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color="0.6", lw=0.8))
    ax.scatter(*view.centroids.T, marker="X", s=110, c="black")
    ax.plot(0, 0, "k+")
    ax.set_title("with a bias" if fit_intercept else "without a bias: cones")
    agree = np.mean(view.predict(rows) == model.predict(rows))
    print(f"bias: {fit_intercept}, same decision on {agree:.0%} of the rows")

# %%
# Many centroids, one decision
# ----------------------------
# Multiplying weights and biases by a number is a change of temperature. It moves the
# centroids but no boundary, so a classifier does not determine how far its centroids
# are from the origin: softmax does not know how near a point is to its centroid, only
# on which side of the boundaries it is. The centroids here belong to one model at three
# temperatures.

model = LogisticRegression(C=0.05).fit(X, y)
fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
best = centroid_view(model, X, scale="best").softmax.scale
for factor, marker in [(0.5, "v"), (1.0, "X"), (1.6, "^")]:
    view = centroid_view(model, X, scale=factor * best)
    if factor == 1.0:
        draw_cells(ax, X, y, view)
    label = f"{factor} of the best"
    ax.scatter(*view.centroids.T, marker=marker, s=90, c="black", label=label)
ax.legend(title="scale", loc="upper right")
ax.set_title("Three sets of centroids, the same cells")

# %%
# More classes than directions
# ----------------------------
# Centroids in the plane cannot reproduce the cells of every softmax with more than
# three classes. Two additional coordinates always suffice. Without a bias one of them
# is zero, and the other can be drawn: the rows lie in the plane at height 0, the
# centroids lie on a sphere above it, and the nearest one still determines the class.

X5, y5 = make_blobs(
    300, centers=[[3, 0], [1, 3], [-3, 1], [-1, -2], [2, -4]], random_state=0
)
model = LogisticRegression(C=0.05, fit_intercept=False).fit(X5, y5)
view = centroid_view(model, X5, scale="best")
print(f"lifted: {view.softmax.lifted}, centroids of shape {view.centroids.shape}")

fig = plt.figure(figsize=(10, 5), layout="constrained")
draw_cells(fig.add_subplot(1, 2, 1), X5, y5, view)
ax = fig.add_subplot(1, 2, 2, projection="3d")
style = {"cmap": "tab10", "vmin": 0, "vmax": 9, "depthshade": False}
ax.scatter(*X5.T, 0, c=y5, s=4, **style)
right, up, _, height = view.centroids.T
ax.scatter(right, up, height, c=range(5), s=120, edgecolors="black", **style)
for column in zip(right, up, height, strict=True):
    ax.plot(*np.transpose([(*column[:2], 0), column]), color="0.5", lw=0.8)
ax.set_title("the centroids above the plane")

# %%
# How k-means-like is a classifier?
# ---------------------------------
# The agreement of the decisions does not mean that the rows are close to the centroids.
# The friendliness measures this: it is the sum of squared distances of the rows to the
# centroid of their class, in units of the total scatter. No centroids can do better
# than the class means. A hidden layer makes the embedding friendlier than the pixels
# are.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)


def share_of_means(Z, y):
    """The friendliness of the means of the classes."""
    means = np.stack([Z[y == label].mean(axis=0) for label in np.unique(y)])
    return ((Z - means[y]) ** 2).sum() / ((Z - Z.mean(axis=0)) ** 2).sum()


def perceptron(alpha):
    """Two hidden layers, with weight decay."""
    return MLPClassifier((64, 16), alpha=alpha, max_iter=400, random_state=0)


models = {
    "logistic regression": LogisticRegression(),
    "perceptron": perceptron(1e-4),
    "perceptron, weight decay": perceptron(1.0),
}
views = {}
for name, model in models.items():
    model.fit(X_train, y_train)
    view = views[name] = centroid_view(model, X_train, y_train, scale="best")
    same = np.mean(view.predict(X_test) == model.predict(X_test))
    means = share_of_means(view.embed(X_train), y_train)
    print(f"{name}: accuracy {model.score(X_test, y_test):.3f}")
    print(f"  same decision on {same:.0%} of the test digits")
    print(f"  friendliness {view.softmax.friendliness:.2f}, of means {means:.2f}")

# %%
# Certified radii
# ---------------
# The distance of an embedding to the boundary, divided by the Lipschitz constant of the
# preceding layers, is a distance in the input that every change of class must exceed.
# The curves show the share of test digits that are classified correctly everywhere
# within a radius. Weight decay gives layers with smaller Lipschitz constants: the same
# accuracy, and larger radii. The bound multiplies the largest singular values of all
# layers, so true distances are larger; for the linear model the radius is exact.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, view in views.items():
    radius = view.certified_radius(X_test)
    radius[view.predict(X_test) != y_test] = 0
    radii = np.sort(radius)
    ax.step(radii, 1 - np.arange(len(radii)) / len(radii), label=name)
ax.set(
    xlabel="radius around a digit (pixels between 0 and 1)",
    ylabel="share of test digits",
    title="Correct, whatever happens within the radius",
    xlim=(0, None),
    ylim=(0, 1.02),
)
_ = ax.legend()
