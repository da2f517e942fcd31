"""NVUM: non-volatile unbiased memory for noisy long-tailed labels (Liu et al., MICCAI 2022)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from ltml_benchmark.losses.base import ElementwiseLoss, check_shapes, full_precision, widen
from ltml_benchmark.losses.curves import scaled_entries
from ltml_benchmark.losses.known import known_entries, left_out_as_zero
from ltml_benchmark.losses.prior import Counts, DeviceCopies, Total, class_counts, usable_total
from ltml_benchmark.losses.processes import check_rows, process_count, rows_of_all


class Mixing(NamedTuple):
    """How memory rows of one batch are mixed: q = m·T + (1 − m)·T[perm]."""

    share: float
    permutation: Tensor


class NonVolatileUnbiasedMemory(ElementwiseLoss):
    """BCE plus a pull towards a running mean of prior-free logits of an averaged model.

    T[i] ← a·T[i] + (1 − a)·(p_ema − τ·log(π + 1e-12)),  a = 0.9,  T = 0 at the start
    q = m·T[i] + (1 − m)·T[i][perm],  m = max(b, 1 − b),  b ~ U(0, 1), perm random
    L = mean[ BCE(p, y) + ρ·log(1 − σ(q·clamp(σ(p), 1e-4, 1 − 1e-4))) ]

    The memory row is updated before the loss; only p is differentiated. The second term is negative and rewards
    confident agreement with the memory. Memory rows are mixed although images are not: the released code does so, and
    `mix=False` switches it off.

    The state is in `state_dict`: `memory` (n_samples, C) and `step`, from which the mixing is drawn, so that a resumed
    run goes on exactly. With several processes the updates of all of them enter every copy of the memory. Of several
    occurrences of one image in a batch the last one counts. Where a label is left out (-1) the memory is neither
    written nor read: T keeps its value, and a known entry whose partner in the mixing is left out takes q = T[i].

    Call `loss(logits, labels, epoch, indices=..., ema_logits=...)` with the images' row numbers in the training set
    and the logits of the averaged model. Images outside the training set have no memory: without `indices` the value is
    the BCE alone.

    Args:
        class_freq: (C,) counts n; π = n / N.
        n_total: N, or (C,) images whose label of each class is known.
        n_samples: Rows of the training set; N where not given.
        momentum: a.
        tau: τ.
        weight: ρ.
        mix: Whether memory rows are mixed.
        seed: Seed of the mixing.
        prior: (C,) π in place of n / N, for label sets with an explicit class for normal images.
    """

    uses_indices = True
    uses_ema = True
    memory: Tensor
    step: Tensor

    def __init__(
        self,
        class_freq: Counts,
        n_total: Total,
        n_samples: int | None = None,
        momentum: float = 0.9,
        tau: float = 1.0,
        weight: float = 1.0,
        mix: bool = True,
        seed: int = 0,
        prior: Counts | None = None,
    ) -> None:
        counts = class_counts(class_freq, n_total)
        super().__init__(len(counts))
        self.momentum = momentum
        self.tau = tau
        self.weight = weight
        self.mix = mix
        self.seed = seed
        share = counts / usable_total(n_total) if prior is None else torch.as_tensor(prior, dtype=torch.float64)
        self._log_prior = DeviceCopies(tau * torch.log(share + 1e-12))
        rows = int(usable_total(n_total).max()) if n_samples is None else n_samples
        self.register_buffer("memory", torch.zeros(rows, self.n_classes))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "NonVolatileUnbiasedMemory":
        """The memory moves to a device; the step stays on the CPU, where it is read in every batch."""
        step = self.step
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.step = step
        return self

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """BCE without memory; `elementwise` adds the memory term."""
        return scaled_entries(logits, positive, 1.0, 0.0, slopes=slopes)

    @torch.no_grad()
    def remember(self, indices: Tensor, ema_logits: Tensor, known: Tensor | None = None) -> None:
        """Bring one batch into the memory, on all processes alike.

        Args:
            indices: (B,) row numbers in the training set.
            ema_logits: (B, C) logits of the averaged model.
            known: (B, C) bool, False where the memory is not to be written; None: nowhere.

        Raises:
            UserError: If a row number is outside the memory.
        """
        check_rows(indices, len(self.memory), "memory")
        indices = indices.to(self.memory.device, torch.int64, non_blocking=True)
        new = ema_logits.detach().to(self.memory)
        known = None if known is None else known.to(self.memory.device)
        if process_count() > 1 and self.training:
            indices, new = rows_of_all(indices), rows_of_all(new)
            known = None if known is None else rows_of_all(known.to(torch.uint8)).bool()
        # every occurrence of an image writes what its last one says, so that the order of writing does not matter
        same = indices[:, None] == indices[None, :]
        last = (same * torch.arange(1, len(indices) + 1, device=same.device)).argmax(dim=1)
        new = new[last]
        unbiased = new - self._log_prior.like(new)
        updated = self.momentum * self.memory[indices] + (1.0 - self.momentum) * unbiased
        if known is not None:
            updated = torch.where(known[last], updated, self.memory[indices])
        self.memory[indices] = updated

    def mixing(self, n: int) -> Mixing:
        """The mixing of the current step for a joint batch of `n`, a function of seed and step alone."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + int(self.step)) * 4096)
        b = float(torch.rand((), generator=generator))
        return Mixing(max(b, 1.0 - b), torch.randperm(n, generator=generator))

    def recall(self, indices: Tensor, mixing: Mixing | None, known: Tensor | None = None) -> Tensor:
        """q of one batch, (B, C), with the given mixing or without; partners that are not `known` are not mixed in.

        While several processes train, the mixing is that of their joint batch.
        """
        indices = indices.to(self.memory.device, torch.int64, non_blocking=True)
        rows = self.memory[indices]
        if mixing is None:
            return rows
        everyone, among = indices, None if known is None else known.to(rows.device)
        first = 0
        if process_count() > 1 and self.training:
            everyone = rows_of_all(indices)
            among = None if among is None else rows_of_all(among.to(torch.uint8)).bool()
            first = distributed.get_rank() * len(indices)
        order = mixing.permutation.to(rows.device, non_blocking=True)[first:][: len(indices)]
        partners = self.memory[everyone[order]]
        if among is not None:
            partners = torch.where(among[order], partners, rows)
        return mixing.share * rows + (1.0 - mixing.share) * partners

    @torch.no_grad()
    def pull(self, rows: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Slope of the memory term where q is the mean of the memory over these rows, or over all.

        Args:
            rows: (n,) row numbers; repeated ones count as often.

        Returns:
            A function of (C,) logits to (C,) slopes −ρ·σ(q·σ(p))·q·σ(p)·(1 − σ(p)).
        """
        memory = self.memory if rows is None else self.memory[rows.to(self.memory.device)]
        q = memory.double().mean(dim=0).cpu()

        def slope(logits: Tensor) -> Tensor:
            confidence = torch.sigmoid(logits)
            return -self.weight * torch.sigmoid(q * confidence) * q * confidence * (1.0 - confidence)

        return slope

    def elementwise(self, logits: Tensor, labels: Tensor, recalled: Tensor | None = None) -> Tensor:
        """Loss of every entry.

        Args:
            logits: (B, C).
            labels: (B, C) 0/1; -1 leaves an entry out.
            recalled: (B, C) q; None leaves the memory term out.

        Returns:
            (B, C).
        """
        check_shapes(logits, labels, self.n_classes)
        entropy = super().elementwise(logits, labels)
        if recalled is None:
            return entropy
        with full_precision(logits):
            confidence = torch.sigmoid(widen(logits)).clamp(1e-4, 1.0 - 1e-4)
            # log(1 − σ(x)) = −log(1 + e^x)
            pull = nn.functional.softplus(recalled.to(entropy) * confidence, threshold=40.0)
            return left_out_as_zero(entropy - self.weight * pull, known_entries(labels))

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        epoch: int = 0,
        indices: Tensor | None = None,
        ema_logits: Tensor | None = None,
        mixing: Mixing | None = None,
    ) -> Tensor:
        """Mean over B*C; updates the memory when `indices` are given.

        Args:
            logits: (B, C).
            labels: (B, C) 0/1; -1 leaves an entry out.
            epoch: Not used by this loss.
            indices: (B,) row numbers in the training set.
            ema_logits: (B, C) logits of the averaged model on the same images; the logits themselves where absent.
            mixing: A given mixing in place of the drawn one.

        Returns:
            Scalar.
        """
        if indices is None:
            return self.mean(self.elementwise(logits, labels), labels)
        known = known_entries(labels)
        self.remember(indices, logits if ema_logits is None else ema_logits, known)
        if mixing is None and self.mix:
            joint = process_count() if self.training else 1
            mixing = self.mixing(joint * len(indices))
        self.step += 1
        return self.mean(self.elementwise(logits, labels, self.recall(indices, mixing, known)), labels)

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"rows={len(self.memory)}, momentum={self.momentum:g}, tau={self.tau:g}, weight={self.weight:g}"
