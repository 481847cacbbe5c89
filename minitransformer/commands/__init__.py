"""The commands of `minitransformer`, a file each: `add_parser` describes its options, `run` does the work."""
