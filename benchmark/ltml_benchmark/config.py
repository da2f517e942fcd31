"""A recipe: everything that decides a result, filled from YAML, then from dotted flags; flags win."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ltml_benchmark.errors import UserError
from ltml_benchmark.recommended import recommended_for


class Section(BaseModel):
    """Frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Section):
    """What is read from the built folder."""

    class_counts: Literal["train", "all"] = "train"
    """Images that n_i and N are counted on: the training split, or all splits as the authors' release did."""
    decode_size: int = Field(256, ge=8)
    """Side in pixels of decoded images; a cache brings its own, which is what config.yaml then says."""
    missing_images: Literal["error", "drop"] = "error"
    """What an image that cannot be found does: stop the run, or leave the split (counted in the manifest)."""
    images: str = ""
    """Image root or cache, as `--images`; empty: the `image` column. A run's config.yaml says its own."""


class ModelConfig(Section):
    """Architecture and starting weights."""

    name: str = "resnet50"
    """`resnet50`, `tiny_cnn`, any torchvision classification name, or `timm:NAME`."""
    weights: str = "default"
    """`default` (ImageNet), `none`, or the path of a .safetensors or state-dict file."""
    neck: Literal["pfc", "none"] | None = None
    """`pfc`: FC to 256, batch normalisation, dropout before a torchvision ResNet's head; unset: resnet50 has it."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout of the neck; unset: 0.5 where there is a neck."""
    frozen_stages: int | None = Field(None, ge=-1, le=4)
    """Stages of a torchvision ResNet that do not learn: -1 none, 0 the stem, 1 stem and layer1; unset: 1 for resnet50
    with weights, else -1."""
    norm_eval: bool | None = None
    """Batch normalisation of a torchvision ResNet uses its stored statistics; unset: yes for resnet50 with weights."""


class LossConfig(Section):
    """One of the methods."""

    name: str = "bce"
    """Name in the loss registry; `ltml-benchmark list` prints them."""
    formulation: Literal["paper", "released"] = "paper"
    """Equations of the paper, or what the authors' release computes."""
    parameters: dict[str, bool | int | float | str | dict[str, bool | int | float | str]] = {}
    """Keyword arguments of the loss, such as `delta` or `bias_scale`; null takes one away that the base had given."""

    @field_validator("parameters", mode="before")
    @classmethod
    def as_the_loss_takes_them(cls, value: object) -> object:
        """Words of the command line as the numbers and truth values that they spell; what is null is not given."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            return value
        spelt = {key: _spelt(item) for key, item in value.items()}
        return {key: item for key, item in spelt.items() if item is not None}


class SamplerConfig(Section):
    """Which images an epoch shows."""

    name: Literal["class-aware", "uniform"] = "class-aware"
    """Class-aware enhanced re-sampling, or every image once."""
    reduce: int = Field(4, ge=1)
    """Divisor of the class-aware epoch length."""


class TransformConfig(Section):
    """Augmentation and normalisation, run on the device."""

    image_size: int = Field(224, ge=8)
    """Side of the square input in pixels; the aspect is not kept."""
    photometric: bool = True
    """Random brightness (+-32) and contrast (0.5-1.5), each with probability 0.5."""
    crop: float = Field(0.8, gt=0, le=1)
    """Smallest share of width and of height that a training crop keeps; 1 switches cropping off."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    """Channel means on the 0-255 scale."""
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    """Channel standard deviations on the 0-255 scale."""


class OptimizerConfig(Section):
    """Steps of the optimizer."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    """Update rule."""
    lr: float = Field(0.02, gt=0)
    """Learning rate after warm-up."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD; first beta of Adam."""
    weight_decay: float = Field(1e-4, ge=0)
    """L2 penalty (decoupled in adamw)."""
    eps: float = Field(1e-8, gt=0)
    """Denominator term of Adam; the NVUM release uses 0.1."""
    clip: float = Field(35.0, ge=0)
    """Largest L2 norm of the gradient; 0 switches clipping off."""
    accumulate: int = Field(1, ge=1)
    """Batches per optimizer step."""


class ScheduleConfig(Section):
    """Learning rate over time."""

    name: Literal["step", "cosine", "constant"] = "step"
    """Shape after warm-up."""
    warmup_steps: int = Field(500, ge=0)
    """Steps of linear warm-up; cut to a fifth of the run where the run is short."""
    warmup_ratio: float = Field(1 / 3, gt=0, le=1)
    """Share of the learning rate at the first step."""
    milestones: tuple[int, ...] = (5, 7)
    """0-based epochs before which the rate is multiplied by `gamma`."""
    gamma: float = Field(0.1, gt=0, le=1)
    """Factor at each milestone."""


class Recipe(Section):
    """One training run."""

    name: str = "custom"
    """Name in tables."""
    description: str = ""
    """One line for `ltml-benchmark list`."""
    paper_row: str = ""
    """Row of the paper's tables that this recipe stands beside; empty where there is none."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    sampler: SamplerConfig = SamplerConfig()
    transforms: TransformConfig = TransformConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    epochs: int = Field(8, ge=1)
    """Passes of the sampler."""
    steps_per_epoch: int = Field(0, ge=0)
    """Batches in an epoch; 0 takes the sampler's length."""
    max_steps: int = Field(0, ge=0)
    """Stop after this many batches in all; 0 runs every epoch."""
    batch_size: int = Field(32, ge=1)
    """Images per batch over all processes together."""
    eval_batch_size: int = Field(128, ge=1)
    """Images per batch and process when scoring."""
    seed: int = Field(0, ge=0)
    """Seed of weights, sampling and augmentation."""
    precision: Literal["auto", "32", "tf32", "bf16", "fp16"] = "auto"
    """Arithmetic of the model: bf16 autocast on a CUDA GPU and 32 elsewhere when auto; 32 is full float32, tf32 lets a
    GPU round the factors of products to 10 bits; losses are always float32."""
    channels_last: bool = True
    """Memory layout of images and weights."""
    compile: bool = False
    """Compile the model with torch.compile."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    """Mode of torch.compile."""
    deterministic: bool = False
    """Only deterministic kernels on a GPU (a CPU run is deterministic anyway)."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of a moving average of weights and buffers that is then scored and saved; 0: none."""
    ema_mode: Literal["eval", "train"] = "eval"
    """How the average predicts for a loss that asks it (nvum): with stored statistics and without dropout, or in
    training mode as NVUM's authors run it. It is scored in eval mode always."""
    select: Literal["bacc", "auc", "ap", "last"] = "bacc"
    """Validation metric (Total) that chooses the epoch, BACC at a score of 0.5; `last` keeps the last one."""
    decide: Literal["raw", "prior", "validation"] = "raw"
    """What counts as a positive decision in BACC and F1: a score above 0.5, above the prior that training showed (logit
    adjustment), or above the threshold that was best on validation. The other two are printed beside it."""
    verified_only: bool = False
    """Score only those test labels that a person verified; training and validation use all known ones."""
    bootstrap: int = Field(200, ge=0)
    """Patient-clustered bootstrap replicates of the test scores for the intervals; 0: none."""
    checkpoint_every: int = Field(500, ge=1)
    """Batches between checkpoints, besides one after every epoch."""
    log_every: int = Field(50, ge=1)
    """Batches between log lines."""
    workers: int = Field(4, ge=1)
    """Threads that read and decode images."""
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Loggers beside JSONL and CSV."""


class Suite(Section):
    """Several recipes, run one after the other."""

    name: str
    """Name of the suite."""
    description: str = ""
    """One line for `ltml-benchmark list`."""
    recipes: tuple[str, ...]
    """Recipe names in order."""


def shipped_recipes() -> list[str]:
    """Names of the recipes in the package, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("ltml_benchmark").joinpath("recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def read_yaml(path: Path | Any, shown: str) -> dict[str, Any]:
    """One YAML mapping; duplicate keys and anything but a mapping are errors."""
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except YAMLError as error:
        raise UserError(f"{shown} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{shown} holds no mapping of settings; `ltml-benchmark list` names working examples.")
    return content


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe | Suite:
    """Read a recipe by name or path, follow its `base`, and lay the overrides on top.

    Args:
        name: A shipped recipe (`baseline`), or the path of a YAML file.
        overrides: Nested settings that win over the file.

    Returns:
        The resolved recipe, or a suite when the file lists `recipes`.

    Raises:
        UserError: Unknown name, unreadable file, unknown key or a value of the wrong type.
    """
    settings, shown = _with_bases(name, ())
    is_suite = "recipes" in settings
    settings.setdefault("name", Path(name).stem)
    try:
        if is_suite:
            refuse_one_loss_for_all(name, overrides or {})
            return Suite.model_validate(settings)
        recipe = Recipe.model_validate(named_for_its_loss(lay(settings, overrides or {}), settings, overrides or {}))
    except ValidationError as error:
        raise UserError(f"{shown}: {explain(error)}") from error
    refuse_idle_settings(recipe)
    return recipe


def _with_bases(name: str, seen: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    if name in seen:
        raise UserError(f"The recipes {' -> '.join((*seen, name))} are based on each other; remove one `base:`.")
    if Path(name).suffix in {".yaml", ".yml"}:
        if not Path(name).is_file():
            raise UserError(f"The recipe file {name} was not found; `ltml-benchmark list` prints the shipped ones.")
        settings, shown = read_yaml(Path(name), name), name
    elif name in shipped_recipes():
        settings, shown = read_yaml(files("ltml_benchmark").joinpath("recipes", f"{name}.yaml"), f"Recipe {name}"), name
    else:
        raise UserError(f"There is no recipe `{name}`; choose {', '.join(shipped_recipes())} or a .yaml file.")
    base = settings.pop("base", None)
    if base is None:
        return settings, shown
    return lay(_with_bases(str(base), (*seen, name))[0], settings), shown


def lay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`merge`, but a loss of another name or formulation starts from its own parameters, not from those below.

    A loss of another name is no longer the paper's row, nor what the description says.
    """
    merged = merge(below, above)
    new = above.get("loss")
    if not isinstance(new, Mapping):
        return merged
    before, after = loss_of(below), loss_of(merged)
    if before != after:
        own = recommended_for(after["name"], after["formulation"])
        given = new.get("parameters")
        merged["loss"] = {**after, "parameters": merge(own, given if isinstance(given, Mapping) else {})}
    if before["name"] != after["name"]:
        for key in ("paper_row", "description"):
            merged[key] = above.get(key, "")
    return merged


def loss_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Name and formulation of the loss in the settings of a recipe."""
    given = settings.get("loss")
    given = given if isinstance(given, Mapping) else {}
    return {key: str(given.get(key, default)) for key, default in (("name", "bce"), ("formulation", "paper"))}


def named_for_its_loss(
    settings: dict[str, Any], recipe: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings whose name says so when the command line put another loss into a recipe: tables show names."""
    before, after = loss_of(recipe), loss_of(settings)
    if "name" in overrides:
        return settings
    name = str(settings["name"])
    if before["name"] != after["name"]:
        name += f"-with-{after['name']}"
    if before["formulation"] != after["formulation"]:
        name += f"-{after['formulation']}"
    return {**settings, "name": name}


def refuse_one_loss_for_all(suite: str, overrides: Mapping[str, Any]) -> None:
    """Refuse to give the rows of a suite, which differ in their losses, one loss.

    Raises:
        UserError: The overrides name a loss.
    """
    loss = overrides.get("loss")
    if isinstance(loss, Mapping) and "name" in loss:
        raise UserError(f"--loss {loss['name']} would be the loss of every row of the suite {suite}; run one recipe.")


def refuse_idle_settings(recipe: Recipe) -> None:
    """Refuse a setting that this recipe would read and not use.

    Raises:
        UserError: Names the setting and what it belongs to.
    """
    adam = recipe.optimizer.name != "sgd"
    step, warm = recipe.schedule.name == "step", recipe.schedule.warmup_steps > 0
    plain = (SamplerConfig(), OptimizerConfig(), ScheduleConfig())
    for used, key, value, default, what in (
        (recipe.sampler.name == "class-aware", "sampler.reduce", recipe.sampler.reduce, plain[0].reduce, "class-aware"),
        (adam, "optimizer.eps", recipe.optimizer.eps, plain[1].eps, "adam and adamw"),
        (step, "schedule.milestones", recipe.schedule.milestones, plain[2].milestones, "the schedule step"),
        (step, "schedule.gamma", recipe.schedule.gamma, plain[2].gamma, "the schedule step"),
        (warm, "schedule.warmup_ratio", recipe.schedule.warmup_ratio, plain[2].warmup_ratio, "a run with warm-up"),
        (recipe.compile, "compile_mode", recipe.compile_mode, "default", "--compile"),
        (recipe.ema > 0, "ema_mode", recipe.ema_mode, "eval", "--ema"),
    ):
        if not used and value != default:
            raise UserError(f"`{key}` is {value}, but it belongs to {what} and would do nothing here; leave it away.")


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings of both, `above` winning key by key."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _spelt(value: object) -> object:
    if isinstance(value, dict):
        return {key: _spelt(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    words: dict[str, object] = {"true": True, "false": False, "null": None, "none": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def explain(error: ValidationError) -> str:
    """The first few complaints of pydantic in one line, by dotted key."""
    parts = []
    for item in error.errors()[:3]:
        key = ".".join(str(part) for part in item["loc"])
        parts.append(f"`{key}` is no setting" if item["type"] == "extra_forbidden" else f"`{key}`: {item['msg']}")
    return "; ".join(parts) + "."


def dump_yaml(settings: Mapping[str, Any]) -> str:
    """Settings as YAML text, keys in their own order."""
    from io import StringIO

    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.width = 1000
    text = StringIO()
    writer.dump(dict(settings), text)
    return text.getvalue()
