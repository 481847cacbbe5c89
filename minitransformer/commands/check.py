"""`check`: every gradient of a whole model, by hand against by complex step, as a table."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..layers import Glorot
from ..models import (
    LANGUAGE_MODELS,
    MODELS,
    Config,
    DecoderOnly,
    GPTConfig,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    T5Config,
    TransformerConfig,
    build_model,
)
from ..verify import check_gradients
from .options import new_parser, number, report

# Unequal wherever they may be, so that no mix-up of axes goes unnoticed, small enough for every entry to be checked.
SIZES: dict[type[Config], Config] = {
    MinimalConfig: MinimalConfig(11, 13, d_model=6, n_heads=3, n_encoder_blocks=2, n_decoder_blocks=1),
    TransformerConfig: TransformerConfig(11, 13, 6, 3, d_ff=5, n_encoder_blocks=2, n_decoder_blocks=1, dropout=0.2),
    T5Config: T5Config(
        13, 6, 3, 2, d_ff=5, n_encoder_blocks=2, n_decoder_blocks=1, n_buckets=4, max_distance=3, dropout=0.2
    ),
    LSTMConfig: LSTMConfig(11, 13, d_model=3, d_embedding=4, n_encoder_layers=2, n_decoder_layers=2, dropout=0.2),
    GPTConfig: GPTConfig(13, 11, 6, 3, n_blocks=2, d_ff=5, dropout=0.2),
    LlamaConfig: LlamaConfig(13, 11, 12, 6, n_kv_heads=3, d_ff=5, n_blocks=2),
}


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "check",
        run,
        "Prove a model's gradients. Every entry of every parameter's gradient, computed by hand-written backwards, is "
        "compared with the derivative by complex step (exact to rounding) or by central difference, in float64.",
    )
    parser.add_argument("--model", choices=(*MODELS, *LANGUAGE_MODELS), default="transformer", help="the architecture")
    parser.add_argument(
        "--method", choices=("complex", "central"), default="complex", help="the independent derivative"
    )
    parser.add_argument("--batch", type=number(int, 1), default=2, help="sentences in the batch")


def run(options: argparse.Namespace) -> int:
    rng = np.random.default_rng(options.seed)
    config = SIZES[(MODELS | LANGUAGE_MODELS)[options.model][1]]
    model = build_model(options.model, config, Glorot(rng, np.float64))
    source, target = rng.integers(3, 11, (options.batch, 5)), rng.integers(3, 13, (options.batch, 7))
    source[0, 3:] = model.pad
    inputs = (target,) if isinstance(model, DecoderOnly) else (source, target)
    result = check_gradients(model, *inputs, method=options.method, seed=options.seed)
    print(result)
    report(options, {"model": options.model, "passed": result.passed, "worst": result.worst_error})
    return 0 if result.passed else 1
