"""Lesson 09b says how often a weight of attention is what decides: the numbers of its table, counted again."""

import ast
from pathlib import Path

import numpy as np

from minitransformer.data import EnglishFrench
from minitransformer.experiments.coreference import (
    asking,
    forced_scores,
    like_the_showroom,
    measure_heads,
    pronoun_translator,
    stored_pronoun_translator,
)
from minitransformer.interventions import TakeWeight, intervene

from ..extent import exhaustive

LESSON = Path(__file__).parents[2] / "notebooks" / "lessons" / "09b_what_it_learnt.py"


def table():
    """SEEDS of the lesson."""
    for node in ast.parse(LESSON.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SEEDS":
            return ast.literal_eval(node.value)
    raise AssertionError("the lesson has no SEEDS")


def test_the_table_of_seeds_says_of_the_stored_model_what_it_does():
    hard = like_the_showroom(EnglishFrench(), np.random.default_rng(1), 200, "test")
    translator = stored_pronoun_translator()
    heads = {kind: measure_heads(translator, hard, kind)[0] for kind in ("it", "adjective")}
    right = forced_scores(translator, hard)[1]
    its, nouns = np.array([(asking(e, "it"), e.antecedent) for e in hard]).T
    with intervene(translator.model, TakeWeight(f"encoder.blocks.{heads['it'].block}.attention", its, nouns)):
        after = forced_scores(translator, hard)[1]
    found = [heads["it"].antecedent, heads["adjective"].antecedent, right, after]
    np.testing.assert_allclose(found, table()[1], rtol=0, atol=0.01)


@exhaustive
def test_the_training_of_the_stored_model_learns_the_pronouns_on_any_processor():
    hard = like_the_showroom(EnglishFrench(), np.random.default_rng(1), 200, "test")
    assert forced_scores(pronoun_translator(seed=1)[0], hard)[1] > 0.8
