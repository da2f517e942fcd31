"""The `review` command: verify labels by hand on a local page."""

from json import dumps as to_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from ltml_dataset.review.session import Review

Split = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(review)


def review(
    directory: Path,
    /,
    *,
    review: Path | None = None,
    reports: Path | None = None,
    images: Annotated[Path | None, Parameter(name=("--images", "--image-root"))] = None,
    split: Split = ("test",),
    negatives: int = 50,
    seed: int = 0,
    port: int | None = None,
    no_browser: Annotated[bool, Parameter(negative="")] = False,
    summary: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    export_csv: Annotated[bool, Parameter(negative="")] = False,
    export_label_studio: Annotated[bool, Parameter(negative="")] = False,
    import_label_studio: Path | None = None,
) -> None:
    """Open the page for verifying labels by hand, on this machine only.

    Decisions are appended to the review folder, which `build --reviewed` reads.

    Parameters
    ----------
    directory
        Folder that `build` wrote.
    review
        Folder of the decisions; by default beside the data set, named DIR-review.
    reports
        The reports the data set was built from; by default where they were at that time.
    images
        Image root, the folder that holds `files/`, or `files/` itself (JPEG, PNG, or DICOM with the extra `dicom`);
        without it the images in the data set's column `image` are shown, if it has one.
    split
        Splits under review.
    negatives
        Machine negatives of each label that the random sample should hold.
    seed
        Seed of the random sample.
    port
        Port on 127.0.0.1; by default the first free one from 8420.
    no_browser
        Only print the address.
    summary
        Print progress, agreement, machine quality, wrong phrases and sampling plan, and stop.
    json
        Print the summary as JSON on stdout, and stop.
    export_csv
        Write decisions, kappas, readers compared, adjudications and wrong phrases as CSV into the review folder, and
        stop.
    export_label_studio
        Write the queue as Label Studio tasks into the review folder, and stop.
    import_label_studio
        Take the annotations of a Label Studio export (JSON) into the review folder, and stop.
    """
    from ltml_dataset.errors import UserError
    from ltml_dataset.review.session import import_annotations, open_review, write_tasks
    from ltml_dataset.review.summary import summary_record

    session = open_review(
        directory, review, reports=reports, image_root=images, splits=split, negatives=negatives, seed=seed
    )
    if import_label_studio is not None:
        print(f"{import_annotations(session, import_label_studio):,} annotated studies taken in.")
    elif export_label_studio:
        written = write_tasks(session)
        print(written.tasks, written.config, sep="\n")
        if written.n_unreadable:
            noun = "image" if written.n_unreadable == 1 else "images"
            print(f"{written.n_unreadable:,} {noun} cannot be read: left out.")
        if written.document_root is not None:
            print(f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={written.document_root.resolve()}")
    elif export_csv:
        from ltml_dataset.review.spreadsheets import write_spreadsheets

        for path in write_spreadsheets(session):
            print(path)
    elif json:
        print(to_json(summary_record(session), indent=1))
    elif summary:
        _print_summary(session)
    else:
        try:
            from ltml_dataset.review.server import serve
        except ModuleNotFoundError as error:
            raise UserError(
                f"the review page needs {error.name}, which is not installed: pip install 'ltml-mimic-cxr[review]'."
            ) from None
        serve(session, port=port, open_browser=not no_browser)


def _print_summary(review: "Review") -> None:
    from rich.console import Console
    from rich.table import Table

    from ltml_dataset.review.summary import summary_notes, summary_tables

    console = Console(markup=False)
    for table in summary_tables(review, with_sentences=False):
        if not table.rows:
            console.print(f"{table.title}: nothing yet.")
            continue
        shown = Table(title=table.title, title_justify="left")
        for name in table.rows[0]:
            shown.add_column(name, justify="left" if name in table.words else "right")
        for row in table.rows:
            shown.add_row(*row.values())
        console.print(shown)
    for note in summary_notes(review):
        console.print(note)
