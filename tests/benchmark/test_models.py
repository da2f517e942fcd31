"""The registry of models, what learns in them, and weights with names inside."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from ltml_benchmark.config import ModelConfig
from ltml_benchmark.errors import UserError
from ltml_benchmark.models import build_model, load_weights, resolved, save_weights

LABELS = ("Edema", "Fracture", "Hemothorax")
TINY = ModelConfig(name="tiny_cnn", weights="none")


def test_the_authors_network_has_their_neck_head_and_frozen_stem() -> None:
    config = ModelConfig(weights="none", frozen_stages=1, norm_eval=True)
    model = build_model(config, LABELS)
    linear, norm, dropout = model.neck
    assert (linear.in_features, linear.out_features, norm.num_features, dropout.p) == (2048, 256, 256, 0.5)
    assert (model.head.in_features, model.head.out_features) == (256, 3)
    assert float(model.head.weight.detach().std()) == pytest.approx(0.01, rel=0.15)
    assert not model.head.bias.any()
    frozen = {name.split(".")[1] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}
    model.train()
    assert all(not m.training for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.training
    assert dropout.training


def test_without_weights_nothing_is_frozen_unless_asked() -> None:
    assert resolved(ModelConfig(weights="none")).frozen_stages == -1
    assert resolved(ModelConfig(weights="none")).norm_eval is False
    assert resolved(ModelConfig()).frozen_stages == 1
    assert resolved(ModelConfig()).norm_eval is True
    model = build_model(ModelConfig(weights="none"), LABELS).train()
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("name", ["tiny_cnn", "resnet18", "densenet121", "mobilenet_v3_small", "timm:resnet10t"])
def test_models_give_one_logit_per_label(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    model = build_model(ModelConfig(name=name, weights="none"), LABELS).eval()
    size = 64
    with torch.no_grad():
        assert model(torch.zeros(2, 3, size, size)).shape == (2, 3)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (ModelConfig(name="resnet5000", weights="none"), "no model `resnet5000`"),
        (ModelConfig(name="timm:no_such_model", weights="none"), "could not be made"),
        (ModelConfig(name="tiny_cnn"), "no default weights"),
        (ModelConfig(name="tiny_cnn", weights="no/such.safetensors"), "were not found"),
    ],
)
def test_a_model_that_cannot_be_made_is_one_sentence(config: ModelConfig, named: str) -> None:
    if config.name.startswith("timm:"):
        pytest.importorskip("timm")
    with pytest.raises(UserError, match=named):
        build_model(config, LABELS)


def test_weights_come_back_with_their_label_names(tmp_path: Path) -> None:
    model = build_model(TINY, LABELS)
    path = tmp_path / "model.safetensors"
    save_weights(path, model.state_dict(), LABELS, {"recipe": "tiny"})
    with safe_open(path, framework="pt") as content:
        assert content.metadata()["labels"] == '["Edema", "Fracture", "Hemothorax"]'
    again = build_model(ModelConfig(name="tiny_cnn", weights=str(path)), LABELS)
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


@pytest.mark.parametrize("labels", [("Edema", "Hemothorax", "Fracture"), ("Edema", "Fracture")])
def test_weights_of_other_labels_or_another_order_are_refused(tmp_path: Path, labels: tuple[str, ...]) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, build_model(TINY, LABELS).state_dict(), LABELS, {})
    with pytest.raises(UserError, match="trained for 3 labels"):
        load_weights(build_model(TINY, labels), path, labels)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, build_model(TINY, LABELS).state_dict(), LABELS, {})
    with pytest.raises(UserError, match="of another model"):
        load_weights(build_model(ModelConfig(name="resnet18", weights="none"), LABELS), path, LABELS)


def test_imagenet_like_weights_fill_the_backbone_and_leave_the_head(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    path = tmp_path / "resnet50.pth"
    imagenet = resnet50()
    torch.save(imagenet.state_dict(), path)
    model = build_model(ModelConfig(weights=str(path)), LABELS)
    assert torch.equal(model.backbone.layer3[0].conv1.weight, imagenet.layer3[0].conv1.weight)
    assert model.head.out_features == 3


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_with_code_is_refused_and_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Trap(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="no safetensors file or plain state dict"):
        load_weights(build_model(TINY, LABELS), tmp_path / "evil.pth", LABELS)
    assert not (tmp_path / "owned").exists()
