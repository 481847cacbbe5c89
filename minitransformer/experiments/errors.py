"""The one error of experiments."""


class ExperimentError(RuntimeError):
    """An experiment cannot be run, or a command that it needs failed; the message says why."""
