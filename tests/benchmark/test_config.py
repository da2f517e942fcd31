"""Recipes: complete, checked, overridden by flags."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ltml_benchmark.config import Recipe, Suite, dump_yaml, load_recipe, merge, shipped_recipes
from ltml_benchmark.errors import UserError

PROMISED = {
    "baseline", "bce", "focal", "db", "nr", "nvum", "anr", "anr-lla", "anr-llm", "asl",
    "llr-r", "llr-ct", "llr-cp", "tiny", "table1", "table2",
}  # fmt: skip


def test_every_promised_recipe_ships() -> None:
    assert set(shipped_recipes()) >= PROMISED


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_loads_under_its_own_name(name: str) -> None:
    loaded = load_recipe(name)
    assert loaded.name == name
    assert loaded.description
    if isinstance(loaded, Suite):
        assert all(isinstance(load_recipe(part), Recipe) for part in loaded.recipes)


def test_the_baseline_is_anr_lla_slow_with_the_published_optimiser() -> None:
    baseline, named = load_recipe("baseline"), load_recipe("anr-lla-slow")
    assert isinstance(baseline, Recipe)
    assert isinstance(named, Recipe)
    assert baseline.loss == named.loss
    assert (baseline.optimizer.lr, baseline.optimizer.momentum, baseline.optimizer.weight_decay) == (0.02, 0.9, 1e-4)
    assert (baseline.batch_size, baseline.epochs, baseline.schedule.milestones) == (32, 8, (5, 7))


def test_methods_of_one_table_share_everything_but_the_loss() -> None:
    suite = load_recipe("table2")
    assert isinstance(suite, Suite)
    rest = []
    for name in suite.recipes:
        recipe = load_recipe(name)
        assert isinstance(recipe, Recipe)
        rest.append(recipe.model_dump(exclude={"name", "description", "paper_row", "loss", "ema"}))
    assert all(other == rest[0] for other in rest)


def test_flags_win_over_the_file_key_by_key() -> None:
    recipe = load_recipe("anr-lla", {"optimizer": {"lr": 0.5}, "loss": {"parameters": {"delta": 0.01}}})
    assert isinstance(recipe, Recipe)
    assert recipe.optimizer.lr == 0.5
    assert recipe.optimizer.momentum == 0.9
    assert recipe.loss.parameters == {"beta": 10, "bias_scale": 0.01, "delta": 0.01, "cap": 0.5}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("optimizer: {lrr: 0.1}", "optimizer.lrr"),
        ("lr: 0.1", "`lr` is no setting"),
        ("batch_size: 0", "batch_size"),
        ("- a\n- b", "no mapping"),
        ("seed: 1\nseed: 2", "not valid YAML"),
        ("base: no-such", "no recipe `no-such`"),
    ],
)
def test_a_wrong_recipe_file_is_named_with_its_key(tmp_path, text: str, named: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=named):
        load_recipe(str(path))


def test_recipes_based_on_each_other_are_refused(tmp_path) -> None:
    path = tmp_path / "loop.yaml"
    path.write_text(f"base: {path}")
    with pytest.raises(UserError, match="based on each other"):
        load_recipe(str(path))


def test_a_resolved_recipe_survives_its_own_yaml() -> None:
    recipe = load_recipe("anr-lla", {"transforms": {"crop": 0.9}, "loggers": ["tensorboard"]})
    assert isinstance(recipe, Recipe)
    assert Recipe.model_validate(yaml.safe_load(dump_yaml(recipe.model_dump(mode="json")))) == recipe


trees = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))


@given(below=st.dictionaries(st.sampled_from("abc"), trees), above=st.dictionaries(st.sampled_from("abc"), trees))
def test_merging_twice_changes_nothing_more(below: dict, above: dict) -> None:
    once = merge(below, above)
    assert merge(once, above) == once
    assert merge(below, {}) == below
