"""`lm train`, `lm generate`, `lm export`, `lm sort`: language models of texts and of digits, and what they write."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from typing import Any

import numpy as np

from ..data import PAD, CharacterVocabulary, SortingTask, TextBatches, documentation, read_text, text_windows
from ..data.texts import NO_PAD
from ..decoding import LanguageModel, greedy
from ..layers import Glorot
from ..models import GPT, LANGUAGE_MODELS, GPTConfig, build_model
from ..pretrained import WeightsError, load_language_model, save_pretrained
from ..training import Every, ProgressBar, evaluate
from .errors import CommandError
from .options import (
    FRACTION,
    Formatter,
    add_training_options,
    belonging,
    new_parser,
    number,
    refuse,
    report,
    say,
    setting,
    takes_ranks,
    trainer_from,
)
from .runs import InterruptedRun, add_run_options, fit_and_save, leave_to_first_rank, new_run


def add_parser(commands: Any) -> None:
    text = "Language models: train one on a text, let it write."
    parser = commands.add_parser("lm", help=text.rstrip("."), description=text, formatter_class=Formatter)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_train(actions)
    _add_generate(actions)
    _add_export(actions)
    _add_sort(actions)


def _add_train(actions: Any) -> None:
    parser = new_parser(
        actions,
        "train",
        train,
        "Train a language model on a text, character by character. Without TEXT: on the documentation that every "
        "Python carries. The defaults are nanoGPT's settings for a computer without a graphics card, but for the first "
        "weights, which are drawn as the width asks for.",
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a text file (UTF-8)")
    add_run_options(parser, out="runs/lm")
    parser.add_argument(
        "--validation", type=number(float, 0, 1, below=True), default=0.1, help="share of the text, from its end"
    )
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=tuple(LANGUAGE_MODELS), default="gpt", help="the architecture")
    group.add_argument("--context", type=number(int, 2), default=64, help="characters that it sees at most")
    group.add_argument("--d-model", type=number(int, 2), default=128, help="width")
    group.add_argument("--n-heads", type=number(int, 1), default=4, help="attention heads")
    group.add_argument("--n-kv-heads", type=number(int, 1), help="heads of keys and values, Llama's (default: all)")
    group.add_argument("--blocks", type=number(int, 1), default=4, help="blocks")
    group.add_argument(
        "--d-ff", type=number(int, 1), help="width inside feed-forward layers (default: 4 times d-model)"
    )
    belonging(group, "--dropout", FRACTION, 0.0, "probability of dropping, GPT's")
    add_training_options(
        parser,
        steps=2000,
        batch_size=12,
        optimizer="adamw",
        rate=1e-3,
        warmup=100,
        final_rate=1e-4,
        beta2=0.99,
        weight_decay=0.1,
        label_smoothing=0.0,
    )
    takes_ranks(parser)


def _add_generate(actions: Any) -> None:
    parser = new_parser(
        actions,
        "generate",
        generate,
        "Go on from a prompt, and show the text as it is drawn. The prompt is not repeated. The model is that of a "
        "run, or comes from elsewhere: a GPT-2 or Llama as Hugging Face has them, or a .bin file of llama2.c.",
    )
    _add_source(parser)
    parser.add_argument(
        "--prompt",
        help="what to go on from (default: the beginning of a text, or of a line where nothing stands for that)",
    )
    parser.add_argument("--max-new-tokens", type=number(int, 1), default=300, help="tokens (characters) to write")
    parser.add_argument("--greedy", action="store_true", help="always the most probable token: draw nothing")
    belonging(parser, "--temperature", number(float, 1e-6), 0.8, "below 1 more careful, above 1 wilder")
    parser.add_argument("--top-k", type=number(int, 1), help="draw from the k most probable only")
    parser.add_argument(
        "--top-p", type=number(float, 1e-9, 1), help="draw from the most probable that make up this share only"
    )


def _add_export(actions: Any) -> None:
    parser = new_parser(
        actions,
        "export",
        export,
        "Write a language model as a folder that Hugging Face's transformers loads: config.json, model.safetensors, "
        "tokenizer.json. It needs the extra `huggingface`.",
    )
    _add_source(parser)
    parser.add_argument("folder", metavar="FOLDER", help="where to write: a new folder, or an empty one")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="RUN",
        help="folder of a run, or its checkpoint; folder with config.json; .bin file",
    )
    parser.add_argument(
        "--tokenizer",
        metavar="FILE",
        help="of a .bin file (default, beside it: tok512.bin for 512 tokens, or tokenizer.bin)",
    )


def _add_sort(actions: Any) -> None:
    parser = new_parser(
        actions,
        "sort",
        sort,
        "Teach a small GPT to sort six digits of three kinds. A quarter of the 729 inputs is never trained on; the "
        "test is on all of them. It is the demo of minGPT, with its sizes and steps, and a higher learning rate.",
    )
    add_training_options(
        parser,
        steps=2000,
        batch_size=64,
        optimizer="adamw",
        rate=3e-3,  # the demo's is 5e-4 throughout, with which one input in 729 is often still wrong after 2,000 steps
        warmup=200,
        final_rate=0.0,
        beta2=0.95,
        weight_decay=0.1,
        label_smoothing=0.0,
    )
    takes_ranks(parser)


def sort(options: argparse.Namespace) -> int:
    task = SortingTask(batch_size=options.batch_size, seed=options.seed)
    model = GPT(GPTConfig.nano(task.vocab, task.context), np.random.default_rng(options.seed))
    say(f"{model.n_parameters():,} parameters")
    trainer = trainer_from(options, model, pad=PAD)
    trainer.fit(task, options.steps, [ProgressBar()])
    leave_to_first_rank()

    inputs = task.inputs()
    answers = np.array([h.ids for h in greedy(model, inputs, start=None, eos=NO_PAD, max_new_tokens=task.length)])
    right = (answers == np.sort(inputs, axis=1)).all(axis=1)
    held_out = task.held_out(inputs)
    numbers = {
        "inputs": len(inputs),
        "right": int(right.sum()),
        "held_out": int(held_out.sum()),
        "held_out_right": int(right[held_out].sum()),
        "training_seconds": round(trainer.history.seconds, 2),
        "seed": options.seed,
    }
    print(f"right            {numbers['right']} of all {len(inputs)}")
    print(f"never trained on {numbers['held_out_right']} of {numbers['held_out']}")
    print(f"training         {trainer.history.seconds:.0f} s")
    report(options, numbers)
    return 0


def train(options: argparse.Namespace) -> int:
    stopped = None
    if options.resume is not None:
        stopped = InterruptedRun(options, _add_train, "train", data=("text",))
        options = stopped.options
        options.command, options.action = "lm", "train"
    text, vocabulary, seen, unseen = text_of(options)
    facts = {"task": "text", "data": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}
    if stopped is None:
        folder = new_run(setting(options, "out"), options.overwrite)
        language_model = LanguageModel(options.model, model_from(options, len(vocabulary)), vocabulary)
    else:
        stopped.same("data", facts["data"], "this is not the text that it began with")
        folder = stopped.folder
        language_model = LanguageModel.from_checkpoint(stopped.path, stopped.arrays, stopped.description)

    model = language_model.model
    say(
        f"{len(seen):,} characters to train on, {len(unseen):,} to validate; {len(vocabulary)} different; "
        f"{model.n_parameters():,} parameters"
    )
    batches = TextBatches(seen, options.context, options.batch_size, seed=options.seed)
    trainer = trainer_from(options, model)
    if stopped is not None:
        stopped.restore(trainer)
    callbacks: list[Any] = [ProgressBar()]
    if options.validation:
        few = list(text_windows(unseen, options.context, 64))[:8]  # a look on the way; the end measures it all
        callbacks.append(Every(500, lambda trainer: evaluate(model, few, pad=few[0].pad)))
    steps = options.steps if stopped is None else stopped.steps
    checkpoint = fit_and_save(options, folder, language_model, trainer, batches, callbacks, steps, **facts)

    numbers: dict[str, Any] = {
        "seed": options.seed,
        "steps": trainer.step,
        "training_seconds": round(trainer.history.seconds, 2),
        "parameters": model.n_parameters(),
    }
    print(f"checkpoint       {checkpoint}")
    print(f"training         {numbers['training_seconds']:.0f} s")
    if options.validation:
        windows = text_windows(unseen, options.context, 64)
        measured = evaluate(model, windows, pad=few[0].pad)
        numbers |= {"validation_loss": measured["loss"], "token_accuracy": measured["token_accuracy"]}
        bits = measured["loss"] / math.log(2)
        print(f"validation loss  {measured['loss']:.4f} nats a character ({bits:.3f} bits)")
    report(options, numbers)
    return 0


def text_of(options: argparse.Namespace) -> tuple[str, CharacterVocabulary, np.ndarray, np.ndarray]:
    """The text that the options name, its characters, and the ids of what is trained on and of what is validated on."""
    text = documentation() if options.text is None else read_text(options.text)
    vocabulary = CharacterVocabulary.build([text])
    ids = np.array(vocabulary.encode(text))
    cut = round(len(ids) * (1 - options.validation))
    if min(cut, len(ids) - cut if options.validation else cut) <= options.context:
        raise CommandError(f"--context {options.context}: the text of {len(ids):,} characters is too short for that")
    return text, vocabulary, ids[:cut], ids[cut:]


def model_from(options: argparse.Namespace, vocab: int) -> Any:
    """The language model that the options describe, freshly drawn."""
    sizes: dict[str, Any] = {
        "vocab": vocab,
        "max_length": options.context,
        "d_model": options.d_model,
        "n_heads": options.n_heads,
        "n_blocks": options.blocks,
        "d_ff": options.d_ff or 4 * options.d_model,
    }
    if options.model == "gpt":
        refuse(options, "GPT", "n_kv_heads")
        sizes["dropout"] = setting(options, "dropout")
    else:
        refuse(options, options.model, "dropout")
        sizes["n_kv_heads"] = options.n_kv_heads or options.n_heads
    try:
        config = LANGUAGE_MODELS[options.model][1](**sizes)
        # Glorot's draws grow as the width shrinks; GPT-2's 0.02 is meant for 768 and more, and learns slowly below.
        return build_model(options.model, config, Glorot(np.random.default_rng(options.seed)))
    except ValueError as error:
        raise CommandError(f"these sizes make no model: {error}") from None


def generate(options: argparse.Namespace) -> int:
    language_model = load_language_model(options.source, options.tokenizer)
    prompt = language_model.default_prompt() if options.prompt is None else options.prompt
    settings: dict[str, Any] = {"max_new_tokens": options.max_new_tokens}
    if options.greedy:
        refuse(options, "--greedy", "temperature", "top_k", "top_p")
    else:
        settings |= {"temperature": setting(options, "temperature"), "seed": options.seed}
        settings |= {"top_k": options.top_k, "top_p": options.top_p}
    try:
        pieces = language_model.stream(prompt, **settings)
    except ValueError as error:
        raise CommandError(f"--{error}") from None
    written = []
    for piece in pieces:
        written.append(piece)
        if not options.json:
            sys.stdout.write(piece)
            sys.stdout.flush()
    if not options.json:
        print()
    report(options, {"prompt": prompt, "text": "".join(written), "seed": options.seed})
    return 0


def export(options: argparse.Namespace) -> int:
    language_model = load_language_model(options.source, options.tokenizer)
    try:
        folder = save_pretrained(language_model.model, options.folder, language_model.vocabulary)  # type: ignore[arg-type]
    except WeightsError:
        raise
    except (TypeError, ValueError) as error:
        raise CommandError(f"{options.source}: cannot be exported: {error}") from None
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    for name, size in files.items():
        print(f"{folder / name}  {size:,} bytes")
    report(options, {"folder": str(folder), "files": files})
    return 0
