"""A resumed run goes on in the same run of other programs, with the real library and with a stand-in for it."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tiny_recipe import TINY

from ltml_benchmark.config import Recipe, load_recipe, merge
from ltml_benchmark.errors import UserError
from ltml_benchmark.logs import remembered
from ltml_benchmark.train import train

SETTINGS = {
    **TINY,
    "schedule": {"warmup_steps": 0},
    "epochs": 2,
    "steps_per_epoch": 3,
    "log_every": 1,
    "checkpoint_every": 2,
}
STOPPED_AT, RESUMED_AT, LAST = 5, 3, 6
"""Batch at which the run is stopped, that of the checkpoint it goes on from, and the last one."""


def recipe(logger: str) -> Recipe:
    loaded = load_recipe("bce", merge(SETTINGS, {"loggers": [logger]}))
    assert isinstance(loaded, Recipe)
    return loaded


class StopAt:
    """A logger that ends the process's work at one step, as a kill would."""

    def log(self, event: str, step: int, values: Any) -> None:
        if step >= STOPPED_AT:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


def killed_and_resumed(logger: str, data: Path, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(recipe(logger), data, out, device="cpu", extra_loggers=[StopAt()])
    train(recipe(logger), data, out, device="cpu", resume="auto")


class StandInWandb(ModuleType):
    """`wandb.init`, `Run.log` and `Run.finish` with the arguments that W&B's have, and its rule for steps.

    A run of a known id goes on at the step after its last one; lower steps are dropped with a warning.
    """

    def __init__(self) -> None:
        super().__init__("wandb")
        self.started: list[dict[str, Any]] = []
        self.rows: dict[str, dict[int, dict[str, Any]]] = {}
        self.finished = 0

    def init(
        self,
        entity: str | None = None,
        project: str | None = None,
        dir: str | None = None,
        id: str | None = None,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        resume: str | bool | None = None,
        mode: str | None = None,
    ) -> Any:
        assert id is not None
        assert resume == "allow"
        self.started.append({"id": id, "name": name, "project": project, "config": config})
        rows = self.rows.setdefault(id, {})

        def log(data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
            assert step is not None
            if step >= max(rows, default=0):
                rows.setdefault(step, {}).update(data)

        def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
            self.finished += 1

        return SimpleNamespace(log=log, finish=finish, id=id)


def test_wandb_goes_on_in_the_same_run(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    stand_in = StandInWandb()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    killed_and_resumed("wandb", phantom_folder, tmp_path / "run")
    ids = [started["id"] for started in stand_in.started]
    assert len(ids) == 2
    assert ids[0] == ids[1] == remembered(tmp_path / "run", "wandb")
    assert stand_in.started[0]["name"] == "bce"
    assert stand_in.started[0]["config"]["optimizer"]["lr"] == 0.02
    assert sorted(stand_in.rows[ids[0]]) == list(range(1, LAST + 1))
    assert {"step/loss", "epoch/bacc_total"} <= stand_in.rows[ids[0]][LAST].keys()
    assert stand_in.finished == 2
    train(recipe("wandb"), phantom_folder, tmp_path / "other", device="cpu")
    assert stand_in.started[2]["id"] != ids[0]


class StandInMlflow(ModuleType):
    """MLflow's functions with the arguments that they have; a parameter cannot be changed."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.uri = ""
        self.parameters: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.active = ""

    def set_tracking_uri(self, uri: str) -> None:
        self.uri = uri

    def set_experiment(self, experiment_name: str | None = None, experiment_id: str | None = None) -> None:
        assert experiment_name

    def start_run(self, run_id: str | None = None, run_name: str | None = None) -> Any:
        assert not self.active
        assert run_id is None or run_id in self.rows
        self.active = run_id or f"run-{len(self.rows)}"
        self.rows.setdefault(self.active, [])
        return SimpleNamespace(info=SimpleNamespace(run_id=self.active))

    def log_params(self, params: dict[str, Any]) -> None:
        assert self.active not in self.parameters
        assert all(len(value) <= 500 for value in params.values())
        self.parameters[self.active] = params

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert all(type(value) is float for value in metrics.values())
        assert step is not None
        self.rows[self.active].append((step, metrics))

    def end_run(self, status: str = "FINISHED") -> None:
        self.active = ""


def test_mlflow_goes_on_in_the_same_run(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    stand_in = StandInMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    killed_and_resumed("mlflow", phantom_folder, tmp_path / "run")
    assert list(stand_in.rows) == ["run-0"]
    assert not stand_in.active
    assert stand_in.uri == f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}"
    losses: dict[int, set[float]] = {}
    for step, metrics in stand_in.rows["run-0"]:
        if "step.loss" in metrics:
            losses.setdefault(step, set()).add(metrics["step.loss"])
    assert sorted(losses) == list(range(1, LAST + 1))
    assert all(len(values) == 1 for values in losses.values())  # steps taken again say the same


def test_tensorboard_shows_every_step_once(phantom_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed_and_resumed("tensorboard", phantom_folder, tmp_path / "run")
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), purge_orphaned_data=True)
    events.Reload()
    assert [event.step for event in events.Scalars("step/loss")] == list(range(1, LAST + 1))
    assert [event.step for event in events.Scalars("epoch/bacc_total")] == [3, 6]


@pytest.mark.filterwarnings("ignore")
def test_wandb_itself_keeps_one_identity(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    killed_and_resumed("wandb", phantom_folder, tmp_path / "run")
    identity = remembered(tmp_path / "run", "wandb")
    files = list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert {path.name for path in files} == {f"run-{identity}.wandb"}


@pytest.mark.filterwarnings("ignore")  # of the libraries that MLflow uses
def test_mlflow_itself_keeps_one_run(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    killed_and_resumed("mlflow", phantom_folder, tmp_path / "run")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ltml-benchmark").experiment_id])
    assert [run.info.run_id for run in runs] == [remembered(tmp_path / "run", "mlflow")]
    assert runs[0].info.status == "FINISHED"
    steps = {metric.step for metric in client.get_metric_history(runs[0].info.run_id, "step.loss")}
    assert steps == set(range(1, LAST + 1))


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_one_sentence(name: str, phantom_folder, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"{name} is not installed; `pip install 'ltml-mimic-cxr\[{name}\]'`"):
        train(recipe(name), phantom_folder, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_stand_ins_have_the_arguments_of_the_libraries() -> None:
    """What the stand-ins take is what the installed libraries take; nothing to compare where they are not installed."""
    import inspect

    compared = 0
    for stand_in, names in ((StandInWandb, ["init"]), (StandInMlflow, ["start_run", "log_metrics", "log_params"])):
        module = stand_in().__name__
        if importlib.util.find_spec(module) is None:
            continue
        real = importlib.import_module(module)
        for name in names:
            ours = inspect.signature(getattr(stand_in(), name)).parameters
            assert ours.keys() <= inspect.signature(getattr(real, name)).parameters.keys(), name
            compared += 1
    if not compared:
        pytest.skip("neither wandb nor mlflow is installed")
