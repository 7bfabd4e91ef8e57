"""Attacks on fitted estimators: rows moved a little, so that their class changes."""

from skdeepcluster.robustness._attacks import fgsm, pgd
from skdeepcluster.robustness._report import AttackReport, attack_report

__all__ = ["AttackReport", "attack_report", "fgsm", "pgd"]
