"""Losses as pure functions of logits or probabilities; any method may use any of them."""

import torch
from torch import Tensor
from torch.nn import functional


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy over recordings and classes (Zhao et al. 2020, section 2.2).

    `logits` and `targets`, (n_items, n_classes), float32; a target that is NaN is not known, and has no part in the
    mean.
    """
    known = ~targets.isnan()
    return functional.binary_cross_entropy_with_logits(logits[known], targets[known])


def weighted_cross_entropy(logits: Tensor, targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Cross-entropy with a weight for each class's positives and negatives (Vicar et al. 2020, eq. 1).

    ``WCE = -mean over items and classes of [w+_c t_c log p_c + w-_c (1 - t_c) log(1 - p_c)]``

    `logits` and `targets`: (n_items, n_classes), float32. `positive` and `negative`, (n_classes,), float32: ``w+ = N /
    N+`` and ``w- = N / (N - N+)``; zero where a class has no positives (or no negatives), so that the class is left out
    rather than infinite.
    """
    log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    return -(positive * targets * log_p + negative * (1 - targets) * log_q).mean()


def challenge_metric_loss(probabilities: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Minus the observed challenge score with probabilities in place of decisions (Vicar et al. 2020, eq. 2, 3, 5).

    ``CM = sum_ij a_ij w_ij, A = L^T (R / N), N = sum over classes of (L + R - L * R)``

    On 0/1 scores it is exactly minus the sum that the Challenge's scorer counts: ``N = |L u R|``, taken as at least 1.

    `probabilities` and `targets`: (n_items, n_classes). `weights`: (n_classes, n_classes). Returns summed over the
    items, as published.
    """
    union = (targets + probabilities - targets * probabilities).sum(dim=1).clamp(min=1)
    credit = ((targets @ weights) * probabilities).sum(dim=1)
    return -torch.sum(credit / union)


def cross_entropy_with_challenge_metric(logits: Tensor, targets: Tensor, weights: Tensor, share: float) -> Tensor:
    """Binary cross-entropy minus a share of the soft challenge score, both as means over the items.

    `logits` and `targets`: (n_items, n_classes), float32. `weights`: (n_classes, n_classes).
    """
    score = challenge_metric_loss(torch.sigmoid(logits), targets, weights) / len(logits)
    return binary_cross_entropy(logits, targets) + share * score
