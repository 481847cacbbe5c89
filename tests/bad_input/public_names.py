"""A right call of every public class and function, found from the names of its parameters.

`NAMED` knows what a parameter of some name is given, wherever it stands. A new class joins by itself where its
parameters are named as those of the others. `SPECIAL` has what one callable alone needs, `LEFT_OUT` what is not called,
and why.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from minitransformer.data import (
    PairBatches,
    WordVocabulary,
)
from minitransformer.decoding import Branch, chrf
from minitransformer.interventions import NoHead
from minitransformer.layers import (
    LSTM,
    DotAttention,
    Embedding,
    Encoder,
    FeedForward,
    InputEmbedding,
    LayerNorm,
    Linear,
    Parameter,
    PostNorm,
    SelfAttention,
)
from minitransformer.layers.recurrent import AttentionalHidden, DotScore, LSTMLayer
from minitransformer.models import (
    GPT,
    T5,
    GPTConfig,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    T5Config,
    TiedLlama,
    TransformerConfig,
)
from minitransformer.training import Adam, Constant, History, Trainer
from minitransformer.training.resume import trainer_state

ROOMS = (
    "layers",
    "interventions",
    "models",
    "training",
    "decoding",
    "data",
    "pretrained",
    "verify",
    "plotting",
    "experiments",
    "course",
)
D, H, V = 4, 2, 7
HEADS = "decoder.blocks.0.attention"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng().standard_normal(shape)


def minimal() -> MinimalTransformer:
    return MinimalTransformer(MinimalConfig(V, V, D), rng())


def words() -> WordVocabulary:
    return WordVocabulary(["a", "b", "c"])


def block() -> PostNorm:
    return PostNorm(Linear(D, D, rng()), LayerNorm(D, rng()))


def gpt() -> GPT:
    return GPT(GPTConfig(V, 9, D, H, 1, dropout=0.0), rng())


def embedding() -> InputEmbedding:
    return InputEmbedding(Embedding(V, D, rng()))


def history() -> History:
    record = {"step": 1, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 0.1, "accuracy": 0.5, "seconds": 1.0}
    return History([record, record | {"step": 2}], [record | {"token_accuracy": 0.5, "exact_match": 0.1}])


def batches() -> PairBatches:
    return PairBatches(PAIRS, 2, seed=0)


IDS = np.array([[3, 4, 5], [4, 6, 0]])
PAIRS = [([3, 4], [5]), ([5], [4, 3]), ([6, 3], [3, 4])]
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])

# What a parameter of this name is given, wherever it stands.
NAMED: dict[str, Callable[[], Any]] = {
    "init": rng,
    "rng": rng,
    **dict.fromkeys(("d_in", "d_hidden", "d_model", "d_query", "d_context"), lambda: D),
    **dict.fromkeys(("vocab", "source_vocab", "target_vocab", "n"), lambda: V),
    **dict.fromkeys(("queries", "keys", "words", "left_words", "right_words"), lambda: ["a", "b", "c"]),
    **dict.fromkeys(("sublayer", "combine"), lambda: Linear(D, D, rng())),
    **dict.fromkeys(("attention", "cross_attention"), lambda: SelfAttention(D, H, rng())),
    **dict.fromkeys(("source_vocabulary", "target_vocabulary", "vocabulary"), words),
    **dict.fromkeys(("path", "folder", "run", "source_path", "target_path"), lambda: Path("no-such-file")),
    "d_memory": lambda: 6,
    "d_attention": lambda: 3,
    "d_out": lambda: 3,
    "d_head": lambda: 2,
    "d_ff": lambda: 6,
    "n_heads": lambda: H,
    "n_kv_heads": lambda: 1,
    "n_layers": lambda: 1,
    "n_buckets": lambda: 8,
    "max_distance": lambda: 20,
    "max_length": lambda: 9,
    "length": lambda: 5,
    "distance": lambda: 3,
    "pad": lambda: 0,
    "start": lambda: 1,
    "eos": lambda: 2,
    "seed": lambda: 0,
    "rate": lambda: 0.01,
    "steps": lambda: 20,
    "batch_size": lambda: 2,
    "context": lambda: 3,
    "norm": lambda: LayerNorm(D, rng()),
    "feed_forward": lambda: FeedForward(D, 6, rng()),
    "lstm": lambda: LSTM(D, D, rng()),
    "blocks": lambda: [block()],
    "layers": lambda: [Linear(D, D, rng())],
    "weight": lambda: Parameter(np.zeros((V, D))),
    "model": minimal,
    "ids": lambda: IDS,
    "source": lambda: IDS,
    "text": lambda: "a b",
    "truth": lambda: "a c",
    "pairs": lambda: PAIRS,
    "tokens": lambda: ["a", "b"],
    "weights": lambda: WEIGHTS,
    "mask": lambda: WEIGHTS > 0,
    "table": lambda: normal(9, D),
    "logits": lambda: normal(V),
    "array": lambda: normal(3),
    "history": history,
    "parameters": lambda: minimal().parameters(),
    "trainer": lambda: Trainer(minimal()),
    "description": dict,
    "sentinels": lambda: range(90, 100),
    "candidates": lambda: ["a b", "a c"],
    "utility": lambda: chrf,
    "sentence": lambda: 0,
    "head": lambda: Linear(D, V, rng()),
    "embedding": embedding,
    "source_embedding": embedding,
    "target_embedding": embedding,
}

T5_CONFIG = {"config": lambda: T5Config(V, D, 2, H, 6, 1, 1, 8, 20)}
LSTM_CONFIG = {"config": lambda: LSTMConfig(V, V, D)}
LLAMA_CONFIG = {"config": lambda: LlamaConfig(V, 9, D, H, 1, 6, 1)}
TRANSFORMER_CONFIG = {"config": lambda: TransformerConfig(V, V, D, H, 6, 1, 1)}

ONE_LAYER = {"layer": lambda: Linear(D, 3, rng()), "inputs": lambda: normal(2, D)}


def residual_block() -> PostNorm:
    return PostNorm(FeedForward(D, 8, rng()), LayerNorm(D, rng()))


ONE_SENTENCE = {"layer": residual_block, "model": residual_block, "inputs": lambda: normal(1, 3, D)}

# What one callable alone needs, beside or instead of that.
SPECIAL: dict[str, dict[str, Callable[[], Any]]] = {
    "layers.Bidirectional": dict.fromkeys(("forward_layer", "backward_layer"), lambda: LSTMLayer(D, 3, rng())),
    "layers.CrossAttention": {"score": DotScore},
    "layers.LuongDecoder": {"attention": DotAttention, "combine": lambda: AttentionalHidden(D, D, rng())},
    "layers.InputFeedingDecoder": {
        "lstm": lambda: LSTM(2 * D, D, rng()),
        "attention": DotAttention,
        "combine": lambda: AttentionalHidden(D, D, rng()),
    },
    "layers.InputEmbedding": {"tokens": lambda: Embedding(V, D, rng())},
    "layers.RecurrentStack": {"layers": lambda: [LSTMLayer(D, D, rng())]},
    "layers.Parameter": {"value": lambda: normal(3, 2)},
    "layers.halves_from_pairs": {"weight": lambda: normal(D, D)},
    "layers.pairs_from_halves": {"weight": lambda: normal(D, D)},
    "layers.forward_hooks": {"after": lambda: print},
    "layers.first_nonfinite": {"model": lambda: Linear(D, 3, rng()), "inputs": lambda: normal(2, 3, D)},
    "interventions.NoHead": {"where": lambda: HEADS, "head": lambda: 1},
    "interventions.TakeWeight": {"where": lambda: HEADS, "query": lambda: 1, "key": lambda: 2},
    "interventions.Patch": {"where": lambda: HEADS, "position": lambda: 1, "activation": lambda: normal(D)},
    "interventions.intervene": {"model": gpt, "interventions": lambda: NoHead(HEADS, 1)},
    "interventions.recorded": {"model": gpt, "where": lambda: HEADS},
    "models.GPT": {"config": lambda: GPTConfig(V, 9, D, H, 1)},
    "models.GPTConfig": {"n_blocks": lambda: 1},
    "models.T5": T5_CONFIG,
    "models.T5v11": T5_CONFIG,
    "models.Llama": LLAMA_CONFIG,
    "models.TiedLlama": LLAMA_CONFIG,
    "models.BahdanauLSTM": LSTM_CONFIG,
    "models.InputFeedingLSTM": LSTM_CONFIG,
    "models.Seq2SeqLSTM": LSTM_CONFIG,
    "models.Transformer": TRANSFORMER_CONFIG,
    "models.PreNormTransformer": TRANSFORMER_CONFIG,
    "models.MinimalTransformer": {"config": lambda: MinimalConfig(V, V, D)},
    "models.DecoderOnly": {"decoder": lambda: Encoder([block()])},
    "models.EncoderDecoder": {"encoder": lambda: minimal().encoder, "decoder": lambda: minimal().decoder},
    "models.build_model": {"name": lambda: "minimal", "config": lambda: MinimalConfig(V, V, D)},
    "training.Every": {"action": lambda: print},
    "training.Saving": {"save": lambda: print},
    "training.clip_by_global_norm": {"grad": lambda: normal(5), "max_norm": lambda: 1.0},
    "training.evaluate": {"batches": lambda: [batches().batch(step) for step in range(2)]},
    "training.restore_trainer": {
        "arrays": lambda: trainer_state(Trainer(minimal()))[0],
        "description": lambda: trainer_state(Trainer(minimal()))[1],
    },
    "training.save_checkpoint": {"path": lambda: Path("no-such-folder/file.npz"), "arrays": lambda: {"a": normal(2)}},
    "decoding.LanguageModel": {"name": lambda: "gpt", "model": gpt},
    "decoding.Translator": {"name": lambda: "minimal"},
    "pretrained.PretrainedTranslator": {"name": lambda: "minimal"},
    "pretrained.llama_names": {"model": lambda: TiedLlama(LLAMA_CONFIG["config"](), rng())},
    "pretrained.t5_names": {"model": lambda: T5(T5_CONFIG["config"](), rng())},
    **{f"decoding.{name}": {"start": lambda: 1} for name in ("greedy", "sample", "beam_search")},
    "decoding.stream": {"model": gpt, "prompt": lambda: IDS[0], "max_new_tokens": lambda: 3},
    "data.Batch": {"inputs": lambda: (IDS, IDS), "targets": lambda: IDS},
    "data.BytePairVocabulary": {"alphabet": lambda: ["a", "b"], "merges": lambda: [("a", "b")]},
    "data.FreshBatches": {"sample": lambda: lambda rng, n: PAIRS},
    "data.LanguageVocabulary": {"language": lambda: "english"},
    "data.SpanCorruption": {"ids": lambda: list(range(3, 60)), "length": lambda: 12},
    "data.corrupt_spans": {"ids": lambda: [3, 4, 5], "spans": lambda: np.array([False, True, False])},
    "data.TextBatches": {"ids": lambda: list(range(30))},
    "data.text_windows": {"ids": lambda: list(range(30))},
    "data.ToyTask": {"name": lambda: "copy"},
    "data.joeynmt_reversal": {"n_training": lambda: 5, "n_validation": lambda: 2, "n_test": lambda: 2},
    "data.pad_sequences": {"sequences": lambda: [[1, 2], [3]]},
    "data.restore_spans": {"source": lambda: [3, 90, 5], "target": lambda: [90, 4, 91]},
    "data.sentinels": {"last": lambda: 99, "n": lambda: 5},
    "data.split_by_source": {"pairs": lambda: [(f"a {i}", f"b {i}") for i in range(30)]},
    "data.vocabulary_from_dict": {"d": lambda: words().to_dict()},
    "pretrained.Llama2cTokenizer": {
        "pieces": lambda: [b"<unk>", b"<s>", b"</s>", b"a", b" "],
        "scores": lambda: [0.0] * 5,
    },
    "pretrained.gpt_names": {"model": gpt},
    "pretrained.names_of": {"model": gpt},
    "pretrained.save_pretrained": {"model": gpt, "folder": lambda: Path("no-such-folder/folder")},
    "verify.check_gradients": ONE_LAYER,
    "verify.check_directions": ONE_LAYER,
    "verify.trace": {"model": lambda: Linear(D, 3, rng()), "inputs": lambda: normal(2, D)},
    "verify.central_difference": {"f": lambda: lambda x: float((x * x).sum())},
    "verify.complex_step": {"f": lambda: lambda x: (x * x).sum()},
    "plotting.alignment_over_training": {"snapshots": lambda: {1: WEIGHTS, 2: WEIGHTS}},
    "plotting.antecedent_figure": {
        "weights": lambda: np.stack([WEIGHTS, WEIGHTS]),
        "pronoun": lambda: 2,
        "antecedent": lambda: 0,
        "distractor": lambda: 1,
        "head": lambda: 0,
    },
    "plotting.attention_grid": {"weights": lambda: np.stack([WEIGHTS, WEIGHTS])},
    "plotting.attention_layers": {"weights": lambda: [np.stack([WEIGHTS, WEIGHTS])]},
    "plotting.attention_matrices": {"cache": lambda: SelfAttention(D, H, rng()).forward(normal(1, 3, D))[1]},
    "plotting.save": {"figure": lambda: matplotlib.figure.Figure(), "path": lambda: Path("no-such-folder/a.png")},
    "plotting.beam_tree": {"nodes": lambda: [Branch("", 0.0), Branch("a", -1.0, 0)]},
    "plotting.embedding_map": {"vectors": lambda: normal(3, D)},
    "plotting.embeddings_before_after": {"before": lambda: normal(3, D), "after": lambda: normal(3, D)},
    "plotting.gradient_norms": {"norms": lambda: {"a": [1.0, 2.0]}},
    "plotting.adam_step": {
        "optimizer": lambda: Adam(),
        "value": lambda: np.zeros(3),
        "gradient": lambda: np.ones(3),
        "rate": lambda: 0.1,
    },
    "plotting.cache_lifetimes": ONE_SENTENCE,
    "plotting.layer_shapes": ONE_SENTENCE,
    "plotting.residual_paths": ONE_SENTENCE,
    "plotting.decoding_state_map": {
        "state": lambda: {"k": normal(1, 1, 3, D), "v": normal(1, 1, 3, D)},
        "words": lambda: list("abc"),
    },
    "plotting.masked_scores": {
        "scores": lambda: normal(3, 3),
        "mask": lambda: np.tri(3, dtype=bool),
        "queries": lambda: list("abc"),
        "keys": lambda: list("abc"),
    },
    "plotting.teacher_forcing": {"inputs": lambda: ["a", "b"], "targets": lambda: ["b", "c"]},
    "plotting.next_word": {"words": lambda: list("abcdefg")},
    "plotting.parameter_shares": {"models": lambda: {"a": {"b": 3}}},
    "plotting.schedule_curve": {"schedules": lambda: {"a": Constant(0.1)}},
    "plotting.softmax_saturation": {"dimensions": lambda: (1, 2), "draws": lambda: 5},
    "plotting.validation_curves": {"histories": lambda: {"a": [history()]}},
    "experiments.matched": {
        "name": lambda: "minimal",
        "config": lambda: MinimalConfig(V, V, D),
        "parameters": lambda: 2000,
        "step": lambda: 2,
    },
    "course.show_source": {"objects": lambda: Linear},
    "course.hint": {"name": lambda: "embed", "number": lambda: 1},
    "course.show_solution": {"name": lambda: "embed"},
    "course.versions": {"name": lambda: "sparse_step"},
    "course.predict": {"name": lambda: "the sign", "answer": lambda: "negative"},
    "course.predictions": {"came_out": lambda: {"the sign": "positive"}},
    "course.symptoms": {"seen": lambda: "nan", "exercise": lambda: "embed"},
    "course.diagram": {
        "boxes": lambda: {"x": (0.0, 0.0, "x"), "y": (1.0, 0.0, "y")},
        "arrows": lambda: [("x", "y", "1", "2")],
        "title": lambda: "title",
        "size": lambda: (4.0, 2.0),
    },
}


RECORD = "a record that a function returns: nobody builds one by hand"
ERROR = "an exception: its only argument is a message"
DRAWN = "takes what `compare`, `trace` or `search_tree` returns; its tests give it other things"

LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        (
            "layers.Cache", "layers.DecodingState", "models.Summary", "decoding.BeamStep", "decoding.Branch",
            "decoding.DecodingTrace", "decoding.Hypothesis", "decoding.Translation", "data.Example", "data.Reversal",
            "verify.GradientCheck", "verify.LayerCall", "verify.Row", "verify.Trace", "plotting.AttentionExplorer",
            "plotting.Read", "experiments.Candidate", "experiments.Comparison", "course.Result", "course.Source",
        ),
        RECORD,
    ),
    **dict.fromkeys(
        (
            "training.BlownUp", "training.CheckpointError", "training.Interrupted", "training.NotFinite",
            "data.DataError", "pretrained.WeightsError", "verify.GradientCheckFailed", "experiments.ExperimentError",
            "course.CheckFailed",
        ),
        ERROR,
    ),
    **dict.fromkeys(
        (
            "decoding.search_tree", "plotting.comparison_figures", "plotting.length_curves", "plotting.quality_curves",
            "plotting.reach_curves", "plotting.step_times", "plotting.explore", "plotting.explore_html",
            "experiments.conclusions", "experiments.steps_to_reach", "experiments.table",
        ),
        DRAWN,
    ),
    **dict.fromkeys(("decoding.Strategy", "data.Vocabulary"), "abstract"),
    "training.check_sizes": "called by load_checkpoint alone",
    "experiments.Task": "a record of one's own data for `compare`, which takes minutes",
    "experiments.compare": "takes minutes",
    "pretrained.Layout": "a row of a table of names",
    "pretrained.PretrainedTokenizer": "made by read_tokenizer",
    "pretrained.PretrainedLanguageModel": "made by load_language_model",
    "course.debug_session": "opens a debugger",
    "course.check": "never raises: its answer is a result, also for hostile objects (tests/course)",
    "data.standard_input": "has no arguments",
    "decoding.exact_match": "compares anything with anything",
}  # fmt: skip


def everything() -> dict[str, Callable[..., Any]]:
    """Every public class and function of this package, as room.name."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"minitransformer.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing) and thing.__module__.startswith("minitransformer"):
                found[f"{room}.{name}"] = thing
    return found


def public() -> dict[str, Callable[..., Any]]:
    """Those that are not left out."""
    return {name: thing for name, thing in everything().items() if name not in LEFT_OUT}
