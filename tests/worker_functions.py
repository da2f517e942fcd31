"""Functions that tests send to worker processes; importable there because this folder is on the path."""

import os
import time
from pathlib import Path

from ltml_dataset.errors import UserError


def square(number: int) -> int:
    return number * number


def refuse_three(number: int) -> int:
    if number == 3:
        raise UserError("three was not expected")
    return number


def die(number: int) -> int:
    os._exit(9)


def say_and_sleep(folder: str) -> None:
    """Leave a file named as this process, then take a while."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(1.5)
