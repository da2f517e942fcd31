"""The one exception whose message is written for the author of a lexicon."""


class LexiconError(ValueError):
    """A lexicon file breaks a rule: the message names the file, the line, and the way out."""
