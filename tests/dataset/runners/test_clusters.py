"""Ray and Spark on this machine: same results in the same order, and the user's error."""

import math
import shutil
from functools import partial
from pathlib import Path

import pytest

from ltml_dataset.config import Runner, read_recipe
from ltml_dataset.errors import UserError
from ltml_dataset.runners import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # warnings of the engines, not ours


@pytest.mark.parametrize("runner, module", [("ray", "ray"), ("spark", "pyspark")])
def test_results_come_in_order_and_so_does_the_users_error(runner: Runner, module: str, tmp_path: Path) -> None:
    pytest.importorskip(module, reason=f"needs the extra [{runner}]")
    if runner == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    assert list(run(math.sqrt, range(20), runner=runner, workers=2)) == [math.sqrt(number) for number in range(20)]
    with pytest.raises(UserError, match=r"absent\.yaml"):
        list(run(partial(read_recipe, flags={}), [tmp_path / "absent.yaml"], runner=runner, workers=2))
