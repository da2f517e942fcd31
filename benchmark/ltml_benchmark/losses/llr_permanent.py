"""LL-Cp: large-loss correction that stays (Kim et al., CVPR 2022)."""

import torch
from torch import Tensor, distributed, nn

from ltml_benchmark.losses.known import known_entries, mean_of_known
from ltml_benchmark.losses.llr import LargeLossReconsideration
from ltml_benchmark.losses.processes import check_rows, process_count, rows_of_all


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
        check_rows(indices, len(self.corrected), "loss")
        return indices.to(self.corrected.device, torch.int64, non_blocking=True)

    def _remember(self, values: Tensor, selected: Tensor, indices: Tensor) -> None:
        smallest = values.masked_fill(~selected, torch.inf).min()
        if process_count() > 1:
            distributed.all_reduce(smallest, op=distributed.ReduceOp.MIN)
        marked = selected & (values > smallest)
        if process_count() > 1:
            marked, indices = rows_of_all(marked.to(torch.uint8)).bool(), rows_of_all(indices)
        # every occurrence of an image writes the same: what any of them found, with what was known before
        same = (indices[:, None] == indices[None, :]).to(torch.float32)
        anywhere = (same @ marked.to(torch.float32)) > 0
        self.corrected[indices] = self.corrected[indices] | anywhere
