"""The first page: who reads, what is queued and why, how far everyone is, and what it says so far."""

import json

from nicegui import ui

from ltml_dataset.review.decisions import ROLES
from ltml_dataset.review.desk import STATE_WORDS
from ltml_dataset.review.queue import STRATA
from ltml_dataset.review.session import Review
from ltml_dataset.review.summary import plan_rows, progress_rows, quality_rows

PLAN = (
    "Rare positives, disagreements and uncertain states are all queued. Missed findings are looked for in a random "
    "sample; the last column is half of the 95 % interval of the miss rate if 5 % are missed."
)
QUALITY = "Kappa between readers, and the machine's precision and recall with 95 % intervals, from what is finished."


def build_start_page(review: Review, query: dict[str, str]) -> None:
    """Put the page together; the tables are as of now."""
    folder, queue, log = review.folder, review.queue, review.log
    log.refresh()
    with ui.column().classes("start"):
        ui.html("<h1>Label review</h1>", sanitize=False)
        ui.label(f"{folder.directory.name}: {len(queue.items):,} of {len(folder.studies):,} studies are queued.")
        with ui.row().classes("items-end"):
            reader = ui.input("Reader (name or initials)", value=query.get("reader", "")).props("autofocus")
            role = ui.select({r: r for r in ROLES}, value="first", label="Role")
            label = ui.select(["", *folder.labels], value="", label="Only label", with_input=True)
            state = ui.select(["", *STATE_WORDS], value="", label="Only machine state")
            stratum = ui.select(["", *STRATA], value="", label="Only stratum")
            split = ui.select(["", *dict.fromkeys(folder.splits)], value="", label="Only split")

        def go() -> None:
            if not (reader.value or "").strip():
                ui.notify("Enter a name or initials first.", type="warning")
                return
            chosen = {
                "reader": reader,
                "role": role,
                "label": label,
                "state": state,
                "stratum": stratum,
                "split": split,
            }
            query = {name: field.value for name, field in chosen.items() if field.value}
            ui.run_javascript(f"location.href = '/read?' + new URLSearchParams({json.dumps(query)})")

        reader.on("keydown.enter", go)
        ui.button("Start reading", on_click=go).props("color=primary")
        for title, about, rows in (
            ("Progress", "Finished studies by reader and role.", progress_rows(log.judgements(), queue)),
            ("Sampling plan", PLAN, plan_rows(queue.plan)),
            ("Agreement and machine quality", QUALITY, quality_rows(log.judgements(), folder, queue)),
        ):
            ui.html(f"<h2>{title}</h2>", sanitize=False)
            ui.label(about).classes("about")
            if rows:
                columns = [
                    {"name": key, "label": key, "field": key, "align": "left", "sortable": True} for key in rows[0]
                ]
                ui.table(columns=columns, rows=rows, row_key=next(iter(rows[0]))).classes("w-full").props("dense flat")
            else:
                ui.label("Nothing yet.")
