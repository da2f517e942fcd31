"""Tests that build many folders draw plain figures; the real ones have tests of their own."""

from pathlib import Path

from ltml_dataset.export import presentation

DRAWINGS = {
    "draw_long_tail": "long_tail",
    "draw_conditional_probability": "conditional_probability",
    "draw_split_balance": "split_balance",
}


def draw_plainly() -> None:
    """Put a line of SVG in the place of every figure, for this process."""
    for function, name in DRAWINGS.items():

        def draw(*arguments: object, name: str = name) -> list[Path]:
            folder = arguments[-1]
            if not isinstance(folder, Path):
                raise TypeError("the last argument of a drawing is its folder")
            folder.mkdir(exist_ok=True)
            path = folder / f"{name}.svg"
            path.write_text("<svg/>")
            return [path]

        setattr(presentation, function, draw)
