"""The error for images that a run cannot use."""


class UnfitDataError(ValueError):
    """A run cannot use its images; the message says what was found and what to do.

    The tools print the message without a traceback, as they do if data are missing.
    """
