"""Small tables of reports written for tests."""

import csv
from collections.abc import Iterable
from pathlib import Path

SENTENCES = (
    "Heart is moderately enlarged. No pleural effusion or pneumothorax.",
    "Small right pleural effusion. Bibasilar atelectasis.",
    "Mild pulmonary edema. No pneumothorax.",
    "Possible pneumonia in the left lower lobe.",
    "The lungs are clear. No acute cardiopulmonary process.",
    "Left apical pneumothorax. Chest tube in place.",
    "Healing rib fracture. No focal consolidation.",
    "Bronchiectasis at the right base, unchanged.",
)


def report_rows(n_reports: int = 60, n_subjects: int = 23) -> list[dict[str, str]]:
    """Reports of some patients; every row has its own text."""
    return [
        {
            "report_id": f"r{index:04d}",
            "subject_id": f"p{index % n_subjects:03d}",
            "text": f"FINDINGS: Study {index + 10}. {SENTENCES[index % 8]} {SENTENCES[(index * 5 + index // 8) % 8]}",
        }
        for index in range(n_reports)
    ]


def write_csv(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    """Write rows as a CSV file."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Content of every visible file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
