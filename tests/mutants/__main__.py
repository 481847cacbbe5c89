"""`python -m tests.mutants`: injects every known bug, one after another, and shows which check rejects it, and why."""

from __future__ import annotations

import argparse
import textwrap
import warnings
from collections.abc import Sequence

from tqdm import tqdm

from minitransformer.commands.options import number, report

from . import MUTANTS, Mutant, rejected_by, verdict

COLUMNS = 100


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    new = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Prove the checks. Every known bug, in layers, models, optimizers, trainer, data and decoding, is "
        "put into the running program and must be rejected by the check that belongs to it; correct code must pass "
        "every check.",
    )
    new.add_argument("--only", metavar="WORD", help="mutants with this word in name, place or check (default: all)")
    new.add_argument("--first", type=number(int, 1), metavar="N", help="no more than this many")
    new.add_argument("--seed", type=number(int, 0), default=0, help="of everything random")
    new.add_argument("--json", action="store_true", help="print the numbers as one JSON object, as the last line")
    return new


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that the options choose; 0 if every one was rejected and correct code passes."""
    options = parser().parse_args(arguments)
    word = (options.only or "").lower()
    chosen = [mutant for mutant in MUTANTS if word in _words(mutant).lower()][: options.first]
    if not chosen:
        parser().error(f"--only {options.only}: none of the {len(MUTANTS)} mutants has this word")
    checks = list(dict.fromkeys(mutant.check for mutant in chosen))
    reasons, wrong, gone = {}, {}, {}
    with (
        tqdm(total=len(checks) + len(chosen), desc="mutants", leave=False, dynamic_ncols=True, disable=None) as bar,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # wrong code may well divide by zero: what counts is what the check says
        for check in checks:
            wrong[check] = verdict(check, options.seed)
            bar.update()
        for mutant in chosen:
            try:
                reasons[mutant.name] = rejected_by(mutant, options.seed)
            except ValueError as error:  # the line that it changes is not there any more
                reasons[mutant.name], gone[mutant.name] = "", f"{error}\n"
            bar.update()
    survivors = [mutant for mutant in chosen if not reasons[mutant.name]]
    failing = [check for check in checks if wrong[check]]
    print(table(chosen, reasons))
    for mutant in survivors:
        print(f"\nNOT REJECTED: {mutant.name}\n{gone.get(mutant.name, '')}{mutant.diff()}")
    for check in failing:
        print(f"\nCORRECT CODE FAILS: {check}\n{_shortened(wrong[check], 4)}")
    rejected = len(chosen) - len(survivors)
    print(
        f"\n{rejected} of {len(chosen)} mutants rejected ({100 * rejected / len(chosen):.4g} %); "
        f"correct code passes {len(checks) - len(failing)} of {len(checks)} checks."
    )
    numbers = {
        "mutants": len(chosen),
        "rejected": rejected,
        "survivors": [mutant.name for mutant in survivors],
        "checks": len(checks),
        "failing_checks": failing,
    }
    report(options, numbers)
    return 0 if not survivors and not failing else 1


def table(mutants: Sequence[Mutant], reasons: dict[str, str]) -> str:
    """Under each check the mutants that it must reject: name, place, and on a second line the first reason."""
    lines: list[str] = []
    for check in dict.fromkeys(mutant.check for mutant in mutants):
        lines += ["", *textwrap.wrap(f"Rejected by: {check}", COLUMNS, subsequent_indent="    ")]
        for mutant in mutants:
            if mutant.check == check:
                place = mutant.where()
                lines.append(f"  {mutant.name:<{COLUMNS - 4 - len(place)}}  {place}")
                lines.append(_shortened(reasons[mutant.name] or "NOT REJECTED", 6))
    return "\n".join(lines).lstrip("\n")


def _shortened(text: str, indent: int) -> str:
    """The first line, indented, cut to the width of the table."""
    line = " " * indent + text.strip().split("\n")[0]
    return line if len(line) <= COLUMNS else line[: COLUMNS - 3] + "..."


def _words(mutant: Mutant) -> str:
    return f"{mutant.name} {mutant.where()} {mutant.check}"


if __name__ == "__main__":
    raise SystemExit(main())
