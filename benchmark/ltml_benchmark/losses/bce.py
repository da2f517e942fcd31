"""Binary cross-entropy."""

from torch import Tensor

from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.curves import scaled_entries


class BinaryCrossEntropy(ElementwiseLoss):
    """Binary cross-entropy on logits p.

    L = mean[ y·log(1 + e^−p) + (1 − y)·log(1 + e^p) ]
    """

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        return scaled_entries(logits, positive, 1.0, 0.0, slopes=slopes)
