"""What training starts from where it differs from the equations; reasons in docs/methods.md. Needs no torch."""

from collections.abc import Mapping

RECOMMENDED: Mapping[str, Mapping[str, float]] = {"nr": {"bias_scale": 0.01}, "anr": {"bias_scale": 0.01}}
"""Loss without its `-lla` or `-llm` to the parameters that a training run should set."""


def recommended_for(name: str, formulation: str = "paper") -> dict[str, float]:
    """Parameters that a training run of this loss sets apart from its defaults; the release has its own."""
    if formulation != "paper":
        return {}
    return dict(RECOMMENDED.get(name.removesuffix("-lla").removesuffix("-llm"), {}))
