"""Measurements of training, decoding and their growth, side by side with PyTorch: `python -m benchmarks --help`."""
