"""Options that several commands share, and what is built from them."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import CrossEntropy
from ..models import MODELS, EncoderDecoder, build_model
from ..training import SGD, Adam, AdamW, Constant, Noam, Optimizer, Trainer, WarmupCosine
from ..training.parallel import ParallelTrainer, world
from .errors import CommandError

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("cosine", "noam", "constant")


def number(kind: type, lowest: float, highest: float = math.inf, below: bool = False) -> Callable[[str], Any]:
    """A converter for argparse: an int or float in [lowest, highest], or, with `below`, in [lowest, highest)."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (lowest <= value < highest if below else lowest <= value <= highest) or math.isinf(value):
            wanted = "a whole number" if kind is int else "a number"
            upper = f" and {'below' if below else 'at most'} {highest:g}" if highest < math.inf else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted} of at least {lowest:g}{upper}")
        return value

    return convert


FRACTION, POSITIVE = number(float, 0, 1, below=True), number(float, 0)


def path_name(text: str) -> str:
    """A converter for argparse: the name of a file or folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file or folder")
    return text


def length_penalty(text: str) -> float:
    """A converter for argparse: any number; that it is finite is for the beam to say."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, such as 0.6") from None


def temperature(greedy: str) -> Callable[[str], float]:
    """A converter for argparse: a temperature above 0; `greedy` is the option that means what 0 would."""
    positive = number(float, 1e-6)

    def convert(text: str) -> float:
        try:
            return positive(text)
        except argparse.ArgumentTypeError as error:
            with contextlib.suppress(ValueError):
                if float(text) == 0:
                    raise argparse.ArgumentTypeError(
                        f"{text!r} would always take the most probable token: that is {greedy}"
                    ) from None
            raise error from None

    return convert


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default behind each option's help, where there is one worth showing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        hidden = action.default is None or action.default is False
        return action.help if hidden else super()._get_help_string(action)


def new_parser(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
    """A command's parser with the options that all of them have."""
    summary = text.split(". ")[0].rstrip(".")
    parser = commands.add_parser(name, help=summary, description=text, formatter_class=Formatter)
    parser.set_defaults(run=run)
    parser.add_argument("--seed", type=number(int, 0), default=0, help="of everything random")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object, as the last line")
    return parser


def report(options: argparse.Namespace, numbers: dict[str, Any]) -> None:
    """Print the JSON object where it was asked for."""
    if options.json:
        print(json.dumps(numbers, ensure_ascii=False))


def say(text: str = "") -> None:
    """Progress for a person, on standard error: what a command answers is on standard output."""
    print(text, file=sys.stderr, flush=True)


def belonging(group: Any, flag: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
    """An option that only some choices of another option have: whether it was given must be known (`setting`)."""
    group.add_argument(flag, type=kind, help=f"{text} (default: {default})")
    name = flag[2:].replace("-", "_")
    group.set_defaults(**{f"default_{name}": default})


def setting(options: argparse.Namespace, name: str) -> Any:
    """The value of a `belonging` option: what was given, or its default."""
    given = getattr(options, name)
    return getattr(options, f"default_{name}") if given is None else given


def refuse(options: argparse.Namespace, owner: str, *names: str) -> None:
    """Raise CommandError where an option was given that `owner`, another option's choice, has no use for."""
    for name in names:
        if getattr(options, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise CommandError(f"{flag} {getattr(options, name)}: {owner} has no such setting")


def add_model_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=tuple(MODELS), default=defaults["model"], help="the architecture")
    group.add_argument("--d-model", type=number(int, 2), default=defaults["d_model"], help="width")
    belonging(group, "--n-heads", number(int, 1), defaults["n_heads"], "attention heads")
    belonging(group, "--d-ff", number(int, 1), defaults["d_ff"], "width inside feed-forward layers")
    group.add_argument(
        "--d-embedding", type=number(int, 1), help="length of an LSTM's embeddings (default: that of --d-model)"
    )
    group.add_argument(
        "--encoder-blocks",
        type=number(int, 1),
        default=defaults["encoder_blocks"],
        help="blocks (an LSTM's layers) of the encoder",
    )
    group.add_argument(
        "--decoder-blocks",
        type=number(int, 1),
        default=defaults["decoder_blocks"],
        help="blocks (an LSTM's layers) of the decoder",
    )
    belonging(group, "--dropout", FRACTION, defaults["dropout"], "probability of dropping")
    group.add_argument("--start", choices=("bos", "eos"), default="bos", help="the token that decoding begins with")


def add_translator_option(parser: argparse.ArgumentParser) -> None:
    """RUN, and what belongs to one that comes from elsewhere."""
    parser.add_argument(
        "run_folder",
        metavar="RUN",
        type=path_name,
        help="folder of a run, or its checkpoint; folder with config.json, model.safetensors and tokenizer.json",
    )
    add_ignore_option(parser)


def add_ignore_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ignore-key",
        metavar="KEY",
        action="append",
        default=[],
        help="a key of config.json that this program does not know, and on which the numbers do not depend; may be "
        "given again",
    )


def takes_ranks(parser: argparse.ArgumentParser) -> None:
    """Under mpiexec every process runs this command; of the others, the first process alone runs them."""
    parser.set_defaults(on_all_ranks=True)


def add_training_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=number(int, 1), default=defaults["steps"], help="training steps")
    group.add_argument("--batch-size", type=number(int, 1), default=defaults["batch_size"], help="sentences a step")
    group.add_argument("--optimizer", choices=OPTIMIZERS, default=defaults.get("optimizer", "adam"), help="optimizer")
    group.add_argument(
        "--rate", type=number(float, 0), default=defaults["rate"], help="highest learning rate; a factor for noam"
    )
    group.add_argument("--schedule", choices=SCHEDULES, default="cosine", help="of the learning rate")
    belonging(group, "--warmup", number(int, 0), defaults["warmup"], "steps of linear warm-up")
    belonging(
        group, "--final-rate", POSITIVE, defaults.get("final_rate", 0.0), "learning rate at the end of the cosine"
    )
    belonging(group, "--beta1", FRACTION, 0.9, "decay of Adam's and AdamW's mean gradient")
    belonging(group, "--beta2", FRACTION, defaults.get("beta2", 0.98), "decay of Adam's and AdamW's mean square")
    belonging(group, "--eps", POSITIVE, 1e-8, "added to the root of Adam's and AdamW's mean square")
    belonging(group, "--weight-decay", POSITIVE, defaults.get("weight_decay", 0.01), "AdamW's")
    belonging(group, "--momentum", FRACTION, 0.9, "SGD's")
    group.add_argument(
        "--label-smoothing",
        type=FRACTION,
        default=defaults["label_smoothing"],
        help="share of the truth that is spread over the vocabulary",
    )
    group.add_argument("--clip", type=POSITIVE, default=1.0, help="largest norm of the gradient; 0 for no limit")
    group.add_argument("--workers", type=number(int, 1), help="how many share a batch (default: 2 on two cores)")


def model_from(options: argparse.Namespace, source_vocab: int, target_vocab: int | None) -> EncoderDecoder:
    """The model that the options describe, freshly drawn; `target_vocab=None` shares one vocabulary."""
    sizes: dict[str, Any] = {"source_vocab": source_vocab, "target_vocab": target_vocab, "d_model": options.d_model}
    if options.model.startswith("lstm"):
        refuse(options, "an LSTM", "d_ff", "n_heads")
        sizes |= {"n_encoder_layers": options.encoder_blocks, "n_decoder_layers": options.decoder_blocks}
        sizes |= {"d_embedding": options.d_embedding, "dropout": setting(options, "dropout")}
        return _built(options, sizes)
    refuse(options, f"model {options.model}", "d_embedding")
    n_heads = setting(options, "n_heads")
    sizes |= {"n_heads": n_heads}
    sizes |= {"n_encoder_blocks": options.encoder_blocks, "n_decoder_blocks": options.decoder_blocks}
    if options.model.startswith("t5"):
        if target_vocab is not None:
            raise CommandError(
                f"--model {options.model}: has one vocabulary for both languages, as `train` gives it with --shared"
            )
        if options.d_model % n_heads:
            raise CommandError(f"--n-heads {n_heads}: must divide --d-model {options.d_model}")
        del sizes["source_vocab"], sizes["target_vocab"]
        sizes |= {"vocab": source_vocab, "d_kv": options.d_model // n_heads}
    if options.model == "minimal":
        refuse(options, "the minimal model", "d_ff", "dropout")
        sizes["target_vocab"] = target_vocab or source_vocab
    else:
        sizes |= {"d_ff": setting(options, "d_ff"), "dropout": setting(options, "dropout")}
    return _built(options, sizes)


def _built(options: argparse.Namespace, sizes: dict[str, Any]) -> EncoderDecoder:
    try:
        config = MODELS[options.model][1](**sizes)
        return build_model(options.model, config, np.random.default_rng(options.seed))
    except ValueError as error:
        raise CommandError(f"these sizes make no model: {error}") from None


def trainer_from(options: argparse.Namespace, model: Any, pad: int | None = None) -> Trainer:
    """The trainer that the options describe; `pad` is the target that does not count, by default the model's."""
    optimizer = optimizer_from(options)
    schedule = schedule_from(options)
    return ParallelTrainer(
        model,
        optimizer,
        schedule,
        loss=CrossEntropy(model.pad if pad is None else pad, options.label_smoothing),
        clip=options.clip or None,
        seed=options.seed,
        workers=options.workers,
        ranks=world() if getattr(options, "on_all_ranks", False) else None,
    )


def optimizer_from(options: argparse.Namespace) -> Optimizer:
    """The optimizer that the options name; CommandError for an option that belongs to another one."""
    if options.optimizer == "sgd":
        refuse(options, "sgd", "beta1", "beta2", "eps", "weight_decay")
        return SGD(setting(options, "momentum"))
    refuse(options, options.optimizer, "momentum")
    try:
        moments = {name: setting(options, name) for name in ("beta1", "beta2", "eps")}
        if options.optimizer == "adamw":
            return AdamW(setting(options, "weight_decay"), **moments)
        refuse(options, "adam", "weight_decay")
        return Adam(**moments)
    except ValueError as error:
        raise CommandError(f"these make no optimizer: {error}") from None


def schedule_from(options: argparse.Namespace) -> Callable[[int], float]:
    """The schedule that the options name; CommandError for an option or a number that makes none."""
    try:
        if options.schedule == "constant":
            refuse(options, "the constant schedule", "warmup", "final_rate")
            return Constant(options.rate)
        warmup = setting(options, "warmup")
        if options.schedule == "noam":
            refuse(options, "the noam schedule", "final_rate")
            return Noam(options.d_model, warmup, options.rate)
        # A default that is longer than a short run is cut to it; a number that was given is not.
        if options.warmup is None:
            warmup = min(warmup, options.steps)
        return WarmupCosine(options.rate, options.steps, warmup, setting(options, "final_rate"))
    except ValueError as error:
        raise CommandError(f"these make no schedule: {error}") from None
