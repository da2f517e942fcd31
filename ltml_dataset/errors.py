"""The one exception whose message is written for the user."""

import re


class UserError(Exception):
    """A mistake a user can mend: the message is one sentence naming the file, what was expected, and the way out.

    `ltml-build-labels` prints it and exits with 1; library callers get it as an ordinary exception.
    """


_WRONG_FIELDS = re.compile(r"Expected (\d+) columns, got (\d+)")


def without_cells(error: Exception) -> str:
    """What Arrow says of a table, without the cells that it quotes: they may be a report."""
    message = " ".join(str(error).split())
    fields = _WRONG_FIELDS.search(message)
    return f"a row has {fields[2]} fields where {fields[1]} were expected" if fields else message.split(":")[0][:80]
