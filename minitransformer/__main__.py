"""`python -m minitransformer` is the command `minitransformer`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
