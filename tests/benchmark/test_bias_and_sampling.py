"""Why `bias_scale` is a parameter: equation 5 taken literally and class-aware sampling correct the prior twice."""

import numpy as np
import torch
from torch import Tensor

from ltml_benchmark.losses import make_loss
from ltml_benchmark.metrics import evaluate
from ltml_benchmark.sampler import ClassAwareSampler

N_CLASSES, N_FEATURES = 8, 16


def long_tailed_data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features and labels of a linear world with classes from 30 % to 0.6 %."""
    rng = np.random.default_rng(seed)
    direction = np.random.default_rng(0).normal(size=(N_FEATURES, N_CLASSES))
    features = rng.normal(size=(n, N_FEATURES))
    signal = features @ direction / np.sqrt(N_FEATURES) + rng.normal(0, 0.7, (n, N_CLASSES))
    shares = np.geomspace(0.3, 0.006, N_CLASSES)
    labels = signal > [np.quantile(column, 1 - share) for column, share in zip(signal.T, shares, strict=True)]
    return torch.tensor(features, dtype=torch.float32), torch.tensor(labels.astype(np.int64))


def trained_logits(bias_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Test logits, their shifted version u, and labels, after a short training with class-aware sampling."""
    torch.manual_seed(0)
    features, labels = long_tailed_data(6000, 1)
    loss = make_loss("anr", labels.sum(dim=0), len(labels), bias_scale=bias_scale)
    model = torch.nn.Linear(N_FEATURES, N_CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    drawn = torch.tensor(ClassAwareSampler(labels.numpy(), reduce=0.5).epoch_indices(0))
    for rows in drawn[: 250 * 64].split(64):
        optimizer.zero_grad()
        loss(model(features[rows]), labels[rows]).backward()
        optimizer.step()
    features, labels = long_tailed_data(6000, 2)
    with torch.no_grad():
        logits = model(features)
    return logits, logits - loss.shift(logits), labels


def test_the_literal_equation_needs_another_decision_than_zero() -> None:
    logits, shifted, labels = trained_logits(1.0)
    small, _, _ = trained_logits(0.01)
    literal, on_u, recommended = (evaluate(s.numpy(), labels.numpy(), threshold=0.0) for s in (logits, shifted, small))
    assert recommended.mean("bacc") > literal.mean("bacc") + 0.1
    assert on_u.mean("bacc") > literal.mean("bacc") + 0.1
    assert abs(recommended.mean("auc") - literal.mean("auc")) < 0.02
