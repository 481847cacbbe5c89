"""The error that bad input data raises."""


class DataError(ValueError):
    """A file or data set cannot be used; the message says where, what is wrong and what is allowed."""
