"""The one error that a command raises for a mistake in what it was given."""


class CommandError(Exception):
    """One clear line for the user; the command ends with status 2."""
