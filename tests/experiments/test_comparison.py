"""What a comparison measures: parameters that match, gradients by definition, heads by their certainty, clocks."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minitransformer.data import FreshBatches, ToyTask, evaluation_batches, sequence_to_sequence_batch
from minitransformer.experiments import Candidate, Comparison, Task, compare, conclusions, matched, steps_to_reach
from minitransformer.experiments.comparison import answer_reach, encoder_reach, surest_alignment
from minitransformer.layers import Glorot, Unallocated
from minitransformer.models import LSTMConfig, PreNormTransformer, Seq2SeqLSTM, TransformerConfig, build_model
from minitransformer.training import History, Trainer

SYMBOLS = range(4, 10)
LSTM = LSTMConfig(10, None, d_model=5, d_embedding=4, dropout=0.0)
TRANSFORMER = TransformerConfig(10, None, 8, 2, 6, 1, 2, dropout=0.0)


def models(dtype=np.float64):
    return {
        "LSTM": Seq2SeqLSTM(LSTM, Glorot(np.random.default_rng(0), dtype)),
        "Transformer": PreNormTransformer(TRANSFORMER, Glorot(np.random.default_rng(1), dtype)),
    }


def of_length(length, n=5):
    pairs = ToyTask("reverse", 6, length, length).sample(np.random.default_rng(length), n)
    return sequence_to_sequence_batch(pairs, pad=0, start=1, eos=2)


@pytest.fixture(scope="module")
def task():
    toy = ToyTask("reverse", 6, 1, 4)
    held_out = toy.sample(np.random.default_rng(7), 20, "test")
    return Task(
        batches=FreshBatches(toy.sample, 4, seed=0),
        held_out=[batch for _, batch in evaluation_batches(held_out, 8)],
        sentence=of_length(4, 1),
        alike=of_length(4),
        symbols=SYMBOLS,
        of_length=of_length,
        lengths=(2, 5),
        longest=4,
    )


@pytest.fixture(scope="module")
def comparison(task):
    both = models(np.float32)
    return compare(both, task, lambda model: Trainer(model), 6, 3, timed_lengths=(2, 3), distances=(1, 3))


@pytest.mark.parametrize("name", ["lstm", "lstm-bahdanau", "lstm-input-feeding"])
@pytest.mark.parametrize("wanted", [60_000, 169_216, 10_000_000])
def test_the_matched_width_is_the_nearest_of_all(name, wanted):
    like = matched(name, LSTMConfig(40, None), wanted)

    def away(width):
        return abs(build_model(name, replace(like, d_model=width), Unallocated()).n_parameters() - wanted)

    assert away(like.d_model) <= min(away(like.d_model - 1), away(like.d_model + 1))
    assert away(like.d_model) < 0.02 * wanted


def test_another_size_is_matched_in_steps():
    wanted = build_model("pre-norm", replace(TRANSFORMER, d_model=64), np.random.default_rng(0)).n_parameters()
    assert matched("pre-norm", TRANSFORMER, wanted, step=TRANSFORMER.n_heads).d_model == 64
    with pytest.raises(ValueError, match="parameters=0: must be at least 1"):
        matched("lstm", LSTM, 0)


def nudged(model, position, direction, run, h=1e-30):
    """d run / d (embedding of the source at a position), along a direction (sentences, D), by complex step."""
    embedding = model.source_embedding
    whole = embedding.forward

    def forward(source, rng=None):
        x, cache = whole(source, rng=rng)
        x = x.astype(np.complex128)
        x[:, position] += 1j * h * direction
        return x, cache

    embedding.forward = forward
    try:
        return run().imag / h
    finally:
        del embedding.forward


@pytest.mark.parametrize("name", ["LSTM", "Transformer"])
def test_encoder_reach_is_the_ratio_of_the_two_norms_by_complex_step(name):
    model, distance, sentences = models()[name], 3, 2
    rng = np.random.default_rng([5, 2, distance])
    source = rng.integers(4, 10, (sentences, distance + 1))
    first = model.encode(source)[0]
    memory = first[0] if name == "LSTM" else first
    direction = rng.standard_normal(memory[:, -1].shape)

    def said():
        memory = model.encode(source)[0]
        return ((memory[0] if name == "LSTM" else memory)[:, -1] * direction).sum(axis=-1)  # for each sentence

    def norm(position):
        D = LSTM.width if name == "LSTM" else TRANSFORMER.d_model
        slopes = [nudged(model, position, np.eye(D)[i], said) for i in range(D)]
        return np.sqrt(np.square(slopes).sum(axis=0)).mean()

    wanted = norm(0) / norm(-1)
    assert encoder_reach(model, SYMBOLS, distance, 5, sentences) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", ["LSTM", "Transformer"])
def test_answer_reach_is_the_first_token_s_share_by_complex_step(name):
    model, batch = models()[name], of_length(4, 3)
    source, target = batch.inputs
    rows = np.arange(3)
    assert (batch.targets[:, -2] == source[:, 0]).all()  # the last symbol of a reversal names the first

    def logit():
        return model.forward(source, target)[0][rows, -2, source[:, 0]]

    D = LSTM.width if name == "LSTM" else TRANSFORMER.d_model
    squares = np.zeros((source.shape[1], 3))
    for position in range(source.shape[1]):
        squares[position] = sum(nudged(model, position, np.eye(D)[i], logit) ** 2 for i in range(D))
    wanted = np.sqrt(squares[0]).mean() / np.sqrt(squares.sum(axis=0)).mean()
    assert answer_reach(model, batch) == pytest.approx(wanted, rel=1e-12)


def test_what_is_far_fades_in_an_untrained_recurrent_encoder_and_not_in_self_attention():
    lstm, transformer = (encoder_reach(model, SYMBOLS, 64) for model in models().values())
    assert lstm < 1e-6
    assert transformer > 1e-3


def test_the_surest_head_is_chosen_on_other_sentences():
    model = models()["Transformer"]
    alike, sentence = of_length(4), of_length(3, 1)
    weights, where = surest_alignment(model, alike, sentence)
    blocks = model.forward(*alike.inputs)[1]["decoder"]["blocks"]
    sure = {
        (n, head): float(block["cross_attention"]["weights"][:, head].max(axis=-1).mean())
        for n, block in enumerate(blocks)
        for head in range(2)
    }
    block, head = max(sure, key=sure.__getitem__)
    assert where == f"block {block}, head {head}"
    mine = model.forward(*sentence.inputs)[1]["decoder"]["blocks"][block]["cross_attention"]["weights"]
    np.testing.assert_array_equal(weights, mine[0, head])
    assert surest_alignment(models()["LSTM"], alike, sentence)[1] == ""


def test_both_take_the_same_steps_and_are_looked_at_in_the_same_rounds(comparison):
    for candidate in comparison.candidates:
        assert [look["step"] for look in candidate.history.validations] == [2, 4, 6]
        assert len(candidate.history.steps) == 6
        assert set(candidate.seconds_per_step) == {2, 3}
        assert set(candidate.encoder_reach["untrained"]) == set(candidate.encoder_reach["trained"]) == {1, 3}
        assert set(candidate.answer_reach["trained"]) == {3}
        assert set(candidate.exact_match) == {2, 5}
        assert candidate.alignment.shape == (5, 5)
        np.testing.assert_allclose(candidate.alignment.sum(axis=-1), 1.0, rtol=1e-5)
    a, b = ([look["tokens"] for look in c.history.steps] for c in comparison.candidates)
    assert a == b


def test_measuring_changes_no_weight(task):
    both = models(np.float32)
    trained = compare(both, task, lambda model: Trainer(model), 4, 2, timed_lengths=(2,), distances=(3,))
    assert trained.steps == 4
    alone = models(np.float32)["LSTM"]
    Trainer(alone).fit(task.batches, 4)
    for mine, theirs in zip(alone.parameters(), both["LSTM"].parameters(), strict=True):
        np.testing.assert_array_equal(mine.value, theirs.value)


def test_the_clock_of_training_stands_still_while_quality_is_measured(task, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def evaluated(model, batches):
        now[0] += 1000.0
        return {"loss": 1.0, "token_accuracy": 0.5, "exact_match": 0.5}

    monkeypatch.setattr("minitransformer.experiments.comparison.evaluate", evaluated)
    found = compare(models(np.float32), task, lambda m: Trainer(m), 4, 2, timed_lengths=(2,), distances=(2,))
    assert all(look["seconds"] == 0.0 for c in found.candidates for look in c.history.validations)


def test_numbers_are_json(comparison):
    numbers = json.loads(json.dumps(comparison.to_dict()))
    assert [c["name"] for c in numbers["candidates"]] == ["LSTM", "Transformer"]
    assert numbers["longest"] == 4


def test_two_are_compared(task):
    with pytest.raises(ValueError, match="models: LSTM; give two, by name"):
        compare({"LSTM": models()["LSTM"]}, task, Trainer, 1)


def candidate(name, quality, seconds, step_seconds, exact, reach=1.0):
    looks = [
        {"step": 10 * (i + 1), "seconds": seconds * (i + 1), "exact_match": q, "token_accuracy": q}
        for i, q in enumerate(quality)
    ]
    reaches = {"untrained": {8: reach}, "trained": {8: reach}}
    return Candidate(name, 100, 0, 5, History([], looks), step_seconds, reaches, {}, exact, np.ones((1, 1)), "")


def told(a, b):
    return " ".join(conclusions(Comparison((a, b), 30, 4, "exact_match")))


def test_conclusions_name_whoever_wins():
    a = candidate("A", [0.5, 0.95, 1.0], 3.0, {2: 0.1, 9: 0.8}, {3: 1.0, 5: 0.5, 6: 0.25})
    b = candidate("B", [0.95, 0.96, 0.97], 7.0, {2: 0.3, 9: 0.2}, {3: 1.0, 5: 0.0, 6: 0.0})
    text = told(a, b)
    assert "the A has 100 % of the held-out sentences right, the B 97.0 %" in text
    assert "90 % is reached by the A after 20 steps and 6 s, by the B after 10 steps and 7 s." in text
    assert "at length 2 the A is 3.0 times as fast, at length 9 the B is 4.0 times as fast" in text
    assert "5 to 6 tokens, where training ended at 4, right are: the A 37.5 %, the B 0 %; the A is better" in text
    swapped = told(replace(b, name="A"), replace(a, name="B"))
    assert "at length 2 the B is 3.0 times as fast, at length 9 the A is 4.0 times as fast" in swapped
    assert "the B is better" in swapped


def test_conclusions_say_where_there_is_no_winner():
    a = candidate("A", [0.1], 1.0, {2: 0.1}, {5: 0.0})
    b = candidate("B", [0.2], 1.0, {2: 0.102}, {5: 0.0})
    assert "90 % is reached by the A never, by the B never." in told(a, b)
    assert "both have 10.0 % of the held-out sentences right" in told(a, replace(a, name="B"))
    assert "at length 2 equally fast" in told(a, b)
    assert "neither is better" in told(a, b)
    only = candidate("B", [0.2, 0.9], 1.5, {2: 0.1}, {5: 0.0})
    assert "by the A never, by the B after 20 steps and 3 s." in told(a, only)
    assert steps_to_reach(only, "exact_match") == (20, 3.0)
    assert steps_to_reach(a, "exact_match") is None


def test_conclusions_name_in_whom_more_of_the_gradient_arrives():
    near = candidate("A", [0.1], 1.0, {2: 0.1}, {}, reach=3e-7)
    far = candidate("B", [0.2], 1.0, {2: 0.1}, {}, reach=0.25)
    assert "in the A 3e-07 untrained, 3e-07 trained; in the B 0.25 untrained, 0.25 trained: more arrives in the B" in (
        told(near, far)
    )
    assert "more arrives in the A" in told(replace(far, name="A"), replace(near, name="B"))
    asked = [replace(c, answer_reach={"untrained": {4: 0.1}, "trained": {4: share}}) for c, share in
             ((near, 0.9), (far, 0.5))]  # fmt: skip
    assert "0.10 untrained, 0.90 trained in the A; 0.10 untrained, 0.50 trained in the B: more in the A" in told(*asked)


def test_almost_all_is_not_all():
    a = candidate("A", [0.9999], 1.0, {2: 0.1}, {})
    assert "have 99.99 % of" in told(a, a)
