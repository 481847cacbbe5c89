"""The demo on the built-in task, its pronoun measurements, and the gradient check."""

import json

import numpy as np
import pytest

from minitransformer.cli import parser
from minitransformer.commands import check
from minitransformer.commands.demo import glance, held_out, new_translator, scores
from minitransformer.data import EnglishFrench
from minitransformer.experiments.coreference import exchange_nouns, measure_heads, pronoun_accuracy
from minitransformer.layers import Linear
from minitransformer.models import MinimalConfig

from .conftest import TINY


@pytest.fixture(scope="module")
def grammar():
    return EnglishFrench()


@pytest.fixture(scope="module")
def untrained(grammar):
    options = parser().parse_args(["demo", *TINY, "--decoder-blocks", "2"])
    return new_translator(options, grammar)


def test_the_demo_trains_tests_translates_draws_and_saves(run, json_of, tmp_path):
    results = []
    for name in ("a", "b"):
        options = ["--steps", 3, "--examples", 5, "--out", tmp_path / name, "--json", "--seed", 7]
        status, out, err = run("demo", *options, *TINY)
        assert status == 0, err
        results.append(json_of(out))
        assert "straight from the showroom" in out
    for numbers in results:
        del numbers["training_seconds"]
    assert results[0] == results[1]  # the same seed, the same scores ...
    wanted = {"exact_match", "pronoun_hard", "pronoun_easy", "flips_with_antecedent", "flips_with_distractor"}
    assert wanted <= set(results[0])
    figures = sorted(path.name for path in (tmp_path / "a" / "figures").iterdir())
    assert len(figures) == 5
    for name in figures:
        if name != "training.png":  # ... and the same figures, but for the clock on one of them
            assert (tmp_path / "a" / "figures" / name).read_bytes() == (tmp_path / "b" / "figures" / name).read_bytes()
    status, out, _ = run("translate", tmp_path / "a", "The cat sleeps.")
    assert status == 0


def test_a_glance_under_teacher_forcing_sees_the_exact_matches_of_greedy_translation(grammar, untrained):
    examples = held_out(grammar, np.random.default_rng(0), 20)
    assert glance(untrained, examples)["exact_match"] == scores(untrained, examples)["exact_match"] == 0.0


class Oracle:
    """A translator that knows the reference, but for the pronoun, which it takes from a rule."""

    def __init__(self, translator, rule):
        self.source_vocabulary, self.target_vocabulary = translator.source_vocabulary, translator.target_vocabulary
        self.known, self.rule = {}, rule

    def learn(self, examples):
        for e in examples:
            words = list(e.french)
            words[e.french_pronoun] = self.rule(e)
            self.known[tuple(self.source_vocabulary.encode_tokens(e.english))] = words

    def translate_ids(self, sources, batch_size):
        return [self.target_vocabulary.encode_tokens(self.known[tuple(ids)]) for ids in sources]


@pytest.mark.parametrize(
    ("rule", "accuracy", "with_antecedent", "with_distractor"),
    [
        (lambda e: e.french[e.french_pronoun], 1.0, 1.0, 0.0),
        (lambda e: "il" if e.french[e.french_pronoun] == "elle" else "elle", 0.0, 1.0, 0.0),
        (lambda e: "il", None, 0.0, 0.0),
    ],
    ids=["right", "always wrong", "always il"],
)
def test_interventions_tell_a_model_that_knows_from_one_that_guesses(
    grammar, untrained, rule, accuracy, with_antecedent, with_distractor
):
    oracle = Oracle(untrained, rule)
    examples = grammar.sample_hard(np.random.default_rng(1), 40)
    oracle.learn(examples)

    class Remembering:
        """The grammar, but the oracle hears of every sentence that it makes."""

        @staticmethod
        def swap_antecedent(example, rng):
            swapped = grammar.swap_antecedent(example, rng)
            oracle.learn([swapped])
            return swapped

        @staticmethod
        def swap_distractor(example, rng):
            swapped = grammar.swap_distractor(example, rng)
            oracle.learn([swapped])
            return swapped

    result = exchange_nouns(oracle, Remembering, examples, np.random.default_rng(2))
    assert (result.antecedent, result.distractor) == (with_antecedent, with_distractor)
    if accuracy is not None:
        assert pronoun_accuracy(oracle, examples) == accuracy


@pytest.mark.parametrize("kind", ["it", "adjective", "cross"])
def test_heads_are_measured_where_the_pronoun_asks(grammar, untrained, kind):
    examples = grammar.sample_hard(np.random.default_rng(3), 6)
    heads = {(head.block, head.head): head for head in measure_heads(untrained, examples, kind)}
    stack, attention = ("decoder", "cross_attention") if kind == "cross" else ("encoder", "attention")
    block, head = 0, 1
    on_antecedent, on_distractor = [], []
    for e in examples:  # one sentence at a time, by the definition
        source = untrained.source_vocabulary.encode_tokens(e.english)
        look = untrained.look_ids(source, untrained.target_vocabulary.encode_tokens(e.french))
        weights = look.cache[stack]["blocks"][block][attention]["weights"][0, head]
        asking = {"it": e.english.index("it"), "adjective": e.english.index(".") - 1, "cross": e.french_pronoun}
        row = weights[asking[kind]]
        on_antecedent.append(row[e.antecedent])
        on_distractor.append(row[e.distractor])
        assert look.source[e.antecedent] == e.english[e.antecedent]
    measured = heads[block, head]
    assert measured.antecedent == pytest.approx(np.mean(on_antecedent), rel=1e-4)
    assert measured.distractor == pytest.approx(np.mean(on_distractor), rel=1e-4)
    assert measured.links == np.mean(np.array(on_antecedent) > 2 * np.array(on_distractor))


@pytest.mark.parametrize("method", ["complex", "central"])
def test_check_proves_a_model_and_fails_on_a_wrong_backward(run, json_of, monkeypatch, method):
    monkeypatch.setattr(check, "SIZES", {MinimalConfig: MinimalConfig(11, 13, 2, 1, 1, 1)})
    status, out, _ = run("check", "--model", "minimal", "--method", method, "--json")
    assert status == 0
    assert json_of(out)["passed"] is True
    assert "encoder.blocks.0.attention.query.weight" in out

    def backward_with_a_wrong_sign(self, dy, cache):
        self.weight.grad -= cache["x"].reshape(-1, self.d_in).T @ dy.reshape(-1, self.d_out)
        return (dy.reshape(-1, self.d_out) @ self.weight.value.T).reshape(cache["x"].shape)

    monkeypatch.setattr(Linear, "backward", backward_with_a_wrong_sign)
    status, out, _ = run("check", "--model", "minimal", "--method", method, "--json")
    assert status == 1
    assert "FAIL" in out
    assert json.loads(out.splitlines()[-1])["passed"] is False
