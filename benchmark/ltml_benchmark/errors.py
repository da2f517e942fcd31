"""The one exception whose message is written for the user."""


class UserError(Exception):
    """A mistake a user can mend: the message is one sentence naming the file, what was expected, and the way out.

    `ltml-benchmark` prints it and exits with 1; library callers get it as an ordinary exception.
    """
