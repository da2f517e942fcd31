"""LL-Cp: large-loss correction that stays (Kim et al., CVPR 2022)."""

import torch
from torch import Tensor, distributed, nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.known import known_entries, mean_of_known
from ltml_benchmark.losses.llr import LargeLossReconsideration
from ltml_benchmark.losses.processes import gather_flat, process_count


class PermanentCorrection(LargeLossReconsideration):
    """Relabelling at a constant rate, remembered per training image.

    k = min(#negatives, ⌈δ · B · C⌉) from the second epoch on. The k largest losses among negatives count as positive
    in this batch; those strictly above the k-th stay positive for the rest of the training.

    Call `loss(logits, labels, epoch, indices=...)` with the images' row numbers in the training set; without them, and
    outside training mode, nothing is remembered. The corrections are in `state_dict` as `corrected`
    (n_samples, C) bool, alike on all processes.

    Args:
        base: Loss with `elementwise(logits, labels)`.
        n_samples: Rows of the training set.
        n_classes: C.
        delta: δ.
    """

    uses_indices = True
    corrected: Tensor

    def __init__(self, base: nn.Module, n_samples: int, n_classes: int, delta: float = 0.002) -> None:
        super().__init__(base, "modify", delta=delta, cap=1.0)
        self.register_buffer("corrected", torch.zeros(n_samples, n_classes, dtype=torch.bool))

    def rate_at(self, epoch: int) -> float:
        """0 in the first epoch, δ afterwards."""
        return self.delta if epoch > 0 else 0.0

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0, indices: Tensor | None = None) -> Tensor:
        """Mean over B*C; remembers corrections when `indices` (B,) are given while training."""
        if indices is None:
            return super().forward(logits, labels, epoch)
        known = known_entries(labels)
        indices = self._checked(indices)
        labels = labels.masked_fill(self.corrected[indices], 1)
        if known is not None:
            labels = labels.masked_fill(~known, -1)
        if self.rate_at(epoch) == 0:
            return self._mean(logits, labels, known)
        with torch.no_grad():
            values = self._unreconsidered(logits, labels, known)
            selected = self.select(values, labels, epoch, known)
            if self.training:
                self._remember(values, selected, indices)
        return self._mean(logits, labels.masked_fill(selected, 1), known)

    def _mean(self, logits: Tensor, labels: Tensor, known: Tensor | None) -> Tensor:
        values = self._unreconsidered(logits, labels, known)
        return mean_of_known(values, known, across_processes=self.training)

    def _unreconsidered(self, logits: Tensor, labels: Tensor, known: Tensor | None) -> Tensor:
        return super()._entries(logits, labels, 0, known)

    def _checked(self, indices: Tensor) -> Tensor:
        indices = indices.to(self.corrected.device, torch.int64)
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self.corrected):
            raise UserError(
                f"image rows {int(indices.min())} to {int(indices.max())} were given to a loss for "
                f"{len(self.corrected)} images; make it with `n_samples` = number of training images"
            )
        return indices

    def _remember(self, values: Tensor, selected: Tensor, indices: Tensor) -> None:
        smallest = values.masked_fill(~selected, torch.inf).min()
        if process_count() > 1:
            distributed.all_reduce(smallest, op=distributed.ReduceOp.MIN)
        row, column = torch.nonzero(selected & (values > smallest), as_tuple=True)
        entries = indices[row] * self.corrected.shape[1] + column
        if process_count() > 1:
            everyone = gather_flat(entries, fill=-1)[0].flatten()
            entries = everyone[everyone >= 0]
        self.corrected.view(-1)[entries] = True
