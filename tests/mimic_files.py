"""Small MIMIC-CXR-shaped inputs for tests. The numbers are outside the ranges that MIMIC-CXR uses."""

import zipfile
from pathlib import Path

REPORTS = {
    (99000002, 90000005): " FINDINGS: The lungs are clear.\n \n IMPRESSION: No effusion.\n",
    (99000001, 90000007): "IMPRESSION: Caf\u00e9-au-lait spot. \u2264 5 mm nodule.\n",
    (99000001, 90000003): "",
}


def report_name(subject: int, study: int) -> str:
    return f"files/p{str(subject)[:2]}/p{subject}/s{study}.txt"


def write_zip(
    path: Path, reports: dict[tuple[int, int], str] = REPORTS, compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("files/", "")
        for (subject, study), text in reports.items():
            archive.writestr(report_name(subject, study), text)
    return path


def write_tree(root: Path, reports: dict[tuple[int, int], str] = REPORTS) -> Path:
    for (subject, study), text in reports.items():
        path = root / report_name(subject, study)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root
