"""The error that is raised if a run cannot use its images."""


class UnfitDataError(ValueError):
    """A run cannot use its images; the message says what was found and what to do.

    The tools end with the message alone, as where data are missing.
    """
