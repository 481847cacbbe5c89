"""A pure-NumPy Transformer whose every gradient is written by hand."""
