"""Says at the end how many cases were tried (with -n 0: other processes keep their counts to themselves)."""

from .harness import seen


def pytest_terminal_summary(terminalreporter):
    if seen:
        tried = sum(seen.values())
        terminalreporter.write_line(
            f"bad input: {tried:,} tried, {seen['worked']:,} worked, {seen['refused']:,} refused"
        )
