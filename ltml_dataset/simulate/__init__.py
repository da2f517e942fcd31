"""A MIMIC-CXR-shaped release with known truth: patients, reports, label files and grey phantoms."""

from ltml_dataset.simulate.release import SimulatedRelease, simulate_release

__all__ = ["SimulatedRelease", "simulate_release"]
