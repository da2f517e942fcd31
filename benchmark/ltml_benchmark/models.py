"""Models by name: the authors' `resnet50`, torchvision, `timm:NAME`, and `tiny_cnn` on torch alone."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ltml_benchmark.config import ModelConfig
from ltml_benchmark.errors import UserError
from ltml_benchmark.extras import needs_extra
from ltml_benchmark.jointly import JointDropout

NECK_WIDTH = 256
NECK_DROPOUT = 0.5
RESNETS = re.compile(r"(resnet|resnext|wide_resnet)\d")
"""Names of torchvision's ResNet family, whose stages can be frozen and whose head can have a neck."""


class AdaptiveMean(nn.Module):
    """`nn.AdaptiveAvgPool2d` by matrix products, which are deterministic on a GPU."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, size, size)."""
        rows, columns = (self.shares(length).to(maps) for length in maps.shape[-2:])
        return torch.einsum("ih,bchw,jw->bcij", rows, maps, columns)

    def shares(self, length: int) -> Tensor:
        """(size, length): cell i averages the inputs floor(i n / s) to ceil((i + 1) n / s)."""
        matrix = torch.zeros(self.size, length, dtype=torch.float64)
        for cell in range(self.size):
            first, last = cell * length // self.size, -(-(cell + 1) * length // self.size)
            matrix[cell, first:last] = 1 / (last - first)
        return matrix


class TinyCNN(nn.Module):
    """Three small convolutions, a 4 x 4 map, a linear head: the whole path in seconds on a CPU.

    Group normalisation keeps images independent, so a batch may be divided over processes.
    """

    def __init__(self, n_classes: int, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.GroupNorm(4, after), nn.ReLU()]
        self.features = nn.Sequential(*layers, AdaptiveMean(4), nn.Flatten())
        self.head = head_layer(32 * width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C) logits."""
        return self.head(self.features(images))  # type: ignore[no-any-return]


class NeckedResNet(nn.Module):
    """A ResNet, as the authors' recipe has it: backbone, PFC neck (FC, batch normalisation, dropout), linear head.

    Frozen stages get no gradient and keep their statistics; with `norm_eval` every batch normalisation
    of the backbone does.
    """

    draws_jointly = True
    """Its random numbers are drawn for the joint batch of all processes, which then need the same seed."""

    def __init__(self, backbone: nn.Module, n_classes: int, config: ModelConfig) -> None:
        super().__init__()
        width = backbone.get_submodule("fc").get_parameter("weight").shape[1]
        backbone.fc = nn.Identity()
        self.backbone = backbone
        if config.neck == "pfc":
            self.neck: nn.Module = pfc_neck(width, NECK_DROPOUT if config.dropout is None else config.dropout)
            width = NECK_WIDTH
        else:
            self.neck = nn.Identity()
        self.head = head_layer(width, n_classes)
        self.frozen_stages = -1 if config.frozen_stages is None else config.frozen_stages
        self.norm_eval = bool(config.norm_eval)
        for module in self.frozen_modules():
            module.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C) logits."""
        return self.head(self.neck(self.backbone(images)))  # type: ignore[no-any-return]

    def frozen_modules(self) -> list[nn.Module]:
        """Stem and stages up to `frozen_stages`."""
        if self.frozen_stages < 0:
            return []
        names = ["conv1", "bn1", *(f"layer{stage}" for stage in range(1, self.frozen_stages + 1))]
        return [self.backbone.get_submodule(name) for name in names]

    def train(self, mode: bool = True) -> "NeckedResNet":
        """Training mode, except where the recipe keeps stored statistics."""
        super().train(mode)
        if mode:
            for module in self.frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.backbone.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self


def pfc_neck(width: int, dropout: float) -> nn.Sequential:
    """FC to 256 (Kaiming fan-out, no activation), batch normalisation, dropout."""
    linear = nn.Linear(width, NECK_WIDTH)
    nn.init.kaiming_normal_(linear.weight, mode="fan_out")
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.BatchNorm1d(NECK_WIDTH), JointDropout(dropout))


def head_layer(width: int, n_classes: int) -> nn.Linear:
    """Linear head that starts near 0: weights N(0, 0.01), bias 0."""
    head = nn.Linear(width, n_classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def resolved(config: ModelConfig) -> ModelConfig:
    """Fill the settings that depend on the architecture and on whether weights are loaded.

    Raises:
        UserError: A setting that this architecture would not use.
    """
    if not RESNETS.match(config.name):
        for key, value, idle in (
            ("frozen_stages", config.frozen_stages, -1),
            ("norm_eval", config.norm_eval, False),
            ("neck", config.neck, "none"),
            ("dropout", config.dropout, None),
        ):
            if value not in (None, idle):
                raise UserError(
                    f"`model.{key}` acts on torchvision's ResNets alone and would do nothing to {config.name}; "
                    "leave it away, or choose a ResNet."
                )
        return config.model_copy(update={"frozen_stages": -1, "norm_eval": False, "neck": "none"})
    own = config.name == "resnet50"
    neck = ("pfc" if own else "none") if config.neck is None else config.neck
    if neck == "none" and config.dropout is not None:
        raise UserError(f"`model.dropout` is {config.dropout}, but it belongs to the neck, and this model has none.")
    pretrained = own and config.weights != "none"
    return config.model_copy(
        update={
            "neck": neck,
            "dropout": NECK_DROPOUT if neck == "pfc" and config.dropout is None else config.dropout,
            "frozen_stages": (1 if pretrained else -1) if config.frozen_stages is None else config.frozen_stages,
            "norm_eval": pretrained if config.norm_eval is None else config.norm_eval,
        }
    )


def build_model(config: ModelConfig, labels: tuple[str, ...]) -> nn.Module:
    """Make a model by name and load its weights.

    Args:
        config: Name, weights, neck and frozen parts.
        labels: Class names in order; weights that carry other names are refused.

    Returns:
        A module from (B, 3, H, W) images to (B, C) logits.

    Raises:
        UserError: Unknown name, missing library or file, weights that do not fit.
    """
    config = resolved(config)
    default, n_classes = config.weights == "default", len(labels)
    model: nn.Module
    if config.name == "tiny_cnn":
        if default:
            raise UserError("tiny_cnn has no default weights; give --weights none or the path of weights.")
        model = TinyCNN(n_classes)
    elif config.name.startswith("timm:"):
        with needs_extra("timm"):
            import timm
        model = _created(lambda: timm.create_model(config.name[5:], pretrained=default, num_classes=n_classes), config)
    else:
        with needs_extra("benchmark"):
            from torchvision import models as zoo
        if config.name not in zoo.list_models(module=zoo):
            raise UserError(
                f"There is no model `{config.name}`; choose resnet50, tiny_cnn, a torchvision classification name "
                "or timm:NAME."
            )
        net = _created(lambda: zoo.get_model(config.name, weights="DEFAULT" if default else None), config)
        if RESNETS.match(config.name):
            model = NeckedResNet(net, n_classes, config)
        else:
            model = _new_head(_without_side_heads(net), n_classes, config.name)
    if config.weights not in {"default", "none"}:
        load_weights(model, Path(config.weights), labels)
    return model


def _created(make: Callable[[], nn.Module], config: ModelConfig) -> nn.Module:
    try:
        return make()
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{config.name} could not be made with weights `{config.weights}` ({' '.join(str(error).split())[:160]}); "
            "give --weights PATH or --weights none where there is no network."
        ) from error


def _without_side_heads(net: nn.Module) -> nn.Module:
    """GoogLeNet and Inception without the auxiliary heads that make them return tuples while they train."""
    for name in ("aux1", "aux2", "AuxLogits"):
        if getattr(net, name, None) is not None:
            setattr(net, name, None)
            net.aux_logits = False  # type: ignore[assignment]
    return net


def _new_head(net: nn.Module, n_classes: int, shown: str) -> nn.Module:
    """Put a fresh head in place of the last linear layer of a torchvision model."""
    linear = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"{shown} has no linear head that could be replaced; choose another --model.")
    name, last = linear[-1]
    parent = net.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], head_layer(last.in_features, n_classes))
    return net


def save_weights(path: Path, state: Mapping[str, Tensor], labels: tuple[str, ...], about: Mapping[str, str]) -> None:
    """Write safetensors with the label names inside, under a temporary name first."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    partial = path.with_name(path.name + ".part")
    save_file(tensors, partial, metadata={"labels": json.dumps(list(labels)), "format": "pt", **about})
    partial.replace(path)


def load_weights(model: nn.Module, path: Path, labels: tuple[str, ...]) -> None:
    """Load safetensors or a plain state dict into a model; nothing is unpickled.

    A file that names its labels must name these, in this order. One that does not (such as ImageNet
    weights) fills the backbone and leaves neck and head as they are.

    Raises:
        UserError: Missing file, other labels, or shapes that do not fit.
    """
    if not path.is_file():
        raise UserError(f"The weights {path} were not found; give --weights default, none, or a file.")
    named: list[str] | None = None
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as content:
                named = json.loads((content.metadata() or {}).get("labels", "null"))
                state = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
    except Exception as error:  # both readers raise many kinds on foreign files
        raise UserError(f"{path} is no safetensors file or plain state dict ({type(error).__name__}).") from error
    if named is not None and tuple(named) != labels:
        raise UserError(
            f"The weights {path} were trained for {len(named)} labels that are not the {len(labels)} of this data, "
            f"or in another order; the first difference is {_first_difference(named, labels)}."
        )
    if named is None:
        own = model.state_dict()
        prefix = (
            "backbone." if isinstance(model, NeckedResNet) and not any(k.startswith("backbone.") for k in state) else ""
        )
        state = {prefix + name: value for name, value in state.items()}
        state = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
        if len(state) < len(own) // 2:
            raise UserError(f"The weights {path} fit only {len(state)} of {len(own)} tensors of this model.")
        model.load_state_dict(state, strict=False)
        return
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"The weights {path} are of another model: {' '.join(str(error).split())[:200]}") from error


def _first_difference(named: list[str], labels: tuple[str, ...]) -> str:
    for theirs, ours in zip(named, labels, strict=False):
        if theirs != ours:
            return f"`{theirs}` against `{ours}`"
    return f"the number {len(named)} against {len(labels)}"
