"""
Attacks over epsilon
====================

How many digits are taken for another one, with a confidence above 0.1, if every pixel
may change by epsilon? :func:`~skdeepcluster.robustness.fgsm` takes one step away from
the class, :func:`~skdeepcluster.robustness.pgd` takes many, and with
``goal="confidence"`` its steps raise the confidence in the other classes.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeepcluster import CentroidClassifier
from skdeepcluster.architectures import ConvAutoencoder
from skdeepcluster.robustness import attack_report, fgsm, pgd

X, y = load_digits(return_X_y=True)
X /= 16
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=1 / 3, random_state=0, stratify=y
)
X_test, y_test = X_test[:300], y_test[:300]

# %%
# The models are a small convolutional encoder with either of two last layers: softmax
# or centroids.

params = dict(
    architecture=ConvAutoencoder((8, 8), channels=(16, 32), kernel_sizes=(3, 3)),
    max_iter=60,
    random_state=0,
)
models = {
    "softmax": CentroidClassifier(loss="softmax", **params).fit(X_train, y_train),
    "centroids": CentroidClassifier(**params).fit(X_train, y_train),
}
for name, model in models.items():
    print(f"{name}: accuracy {model.score(X_test, y_test):.3f}")

# %%
# Three attacks
# -------------

pixels = {"clip": (0, 1)}
steps = {**pixels, "n_steps": 20, "random_state": 0}
attacks = {
    "FGSM": lambda model, epsilon: fgsm(model, X_test, y_test, epsilon, **pixels),
    "PGD": lambda model, epsilon: pgd(model, X_test, y_test, epsilon, **steps),
    "PGD for confidence": lambda model, epsilon: pgd(
        model, X_test, y_test, epsilon, goal="confidence", **steps
    ),
}
epsilons = [0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3]
reports = {
    (attack, name): [
        attack_report(model, X_test, y_test, move(model, epsilon))
        for epsilon in epsilons
    ]
    for attack, move in attacks.items()
    for name, model in models.items()
}

_, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained", sharey=True)
for ax, attack in zip(axes, attacks, strict=True):
    for name, colour in zip(models, ("tab:orange", "tab:blue"), strict=True):
        found = reports[attack, name]
        n_correct = found[0].n_correct
        successes = [report.n_successes / n_correct for report in found]
        changed = [report.n_changed / n_correct for report in found]
        ax.plot(epsilons, successes, color=colour, label=f"{name}: confident")
        ax.plot(epsilons, changed, ":", color=colour, label=f"{name}: any change")
    ax.set(title=attack, xlabel="epsilon")
axes[0].set_ylabel("share of the correct rows")
axes[-1].legend()

# %%
# Predictions change as often with centroids as with softmax: they are not harder to
# attack. If the attack does not aim at the confidence, most of the changed rows have
# low confidence and would be rejected. An attack that does aim at it needs larger steps
# than for softmax, but then succeeds as well.

plt.show()
