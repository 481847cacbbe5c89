"""The grammar against a French teacher: hand-written translations, and rules checked on what comes out."""

import random
import re
import zlib
from collections import Counter

import numpy as np
import pytest

from minitransformer.data.english_french.lexicon import NOUNS, PEOPLE, VERBS, Adjective, Noun, Verb
from minitransformer.data.english_french.pronouns import CONSTRUCTIONS, draw_sentence
from minitransformer.data.english_french.sentences import TEMPLATES
from minitransformer.data.english_french.spelling import contract, detokenize, tokenize
from minitransformer.data.english_french.task import EnglishFrench, Example, held_out

from ..extent import extent


@pytest.fixture(scope="module")
def task():
    return EnglishFrench()


@pytest.fixture(scope="module")
def train(task):
    return task.sample(np.random.default_rng(11), 50_000)


@pytest.fixture(scope="module")
def test(task):
    return task.sample(np.random.default_rng(12), 6_000, split="test")


# -- translations that a person wrote down ----------------------------------------------------------------------------

BY_HAND = """
I got my car straight from the showroom, it was new.
    J'ai eu ma voiture directement du salon, elle était neuve.
I got my car straight from the showroom, it was crowded.
    J'ai eu ma voiture directement du salon, il était bondé.
The factory sold me my phone, it was broken.
    L'usine m'a vendu mon téléphone, il était cassé.
The garage sold him his clock, it was expensive.
    Le garage lui a vendu son horloge, elle était chère.
The agency sold them the computer, it was deserted.
    L'agence leur a vendu l'ordinateur, elle était déserte.
At the market I bought the pear, it was ripe.
    Au marché, j'ai acheté la poire, elle était mûre.
She forgot her umbrella at the station, it was lively.
    Elle a oublié son parapluie à la gare, elle était animée.
We lost our guitar at the hotel, it was heavy.
    Nous avons perdu notre guitare à l'hôtel, elle était lourde.
In the drawer he hid the orange, it was rotten.
    Dans le tiroir, il a caché l'orange, elle était pourrie.
You left the pineapple in my wardrobe, it was full.
    Tu as laissé l'ananas dans mon armoire, elle était pleine.
They found the apple on the bench, it was wobbly.
    Ils ont trouvé la pomme sur le banc, il était bancal.
I saw the owl under my shelf, it was low.
    J'ai vu le hibou sous mon étagère, elle était basse.
Under the bench they found the mouse, it was nervous.
    Sous le banc, ils ont trouvé la souris, elle était nerveuse.
The statue did not fit in the box because it was too small.
    La statue ne tenait pas dans la boîte parce qu'elle était trop petite.
The violin did not fit in the box because it was too big.
    Le violon ne tenait pas dans la boîte parce qu'il était trop grand.
The bag could not hold the lamp because it was too long.
    Le sac ne pouvait pas contenir la lampe parce qu'elle était trop longue.
The mirror does not fit in the suitcase because it is too narrow.
    Le miroir ne tient pas dans la valise parce qu'elle est trop étroite.
The suitcase cannot hold the mirror because it is too wide.
    La valise ne peut pas contenir le miroir parce qu'il est trop large.
The table did not go through the corridor because it was too narrow.
    La table ne passait pas par le couloir parce qu'il était trop étroit.
The entrance did not let the desk through because it was too big.
    L'entrée ne laissait pas passer le bureau parce qu'il était trop grand.
The statue broke the stool because it was too fragile.
    La statue a cassé le tabouret parce qu'il était trop fragile.
The table gave way under the computer because it was too old.
    La table a cédé sous l'ordinateur parce qu'elle était trop vieille.
The mouse escaped from the cat because it was fast.
    La souris a échappé au chat parce qu'elle était rapide.
The mouse escaped from the owl because it was slow.
    La souris a échappé au hibou parce qu'il était lent.
The dog caught the goose because it was slow.
    Le chien a attrapé l'oie parce qu'elle était lente.
The goat frightened the bird because it was aggressive.
    La chèvre a effrayé l'oiseau parce qu'elle était agressive.
The bird avoided the hen because it was shy.
    L'oiseau a évité la poule parce qu'il était timide.
I do not eat the apple.
    Je ne mange pas la pomme.
I do not have a car.
    Je n'ai pas de voiture.
You will not have any oranges.
    Tu n'auras pas d'oranges.
They never buy any small violins.
    Ils n'achètent jamais de petits violons.
The queen opened an old white suitcase this morning.
    La reine a ouvert une vieille valise blanche ce matin.
He will buy some beautiful cars tomorrow.
    Il achètera de belles voitures demain.
He will buy some red cars tomorrow.
    Il achètera des voitures rouges demain.
She sees a new computer.
    Elle voit un nouvel ordinateur.
We saw an old man.
    Nous avons vu un vieil homme.
My heroine looks at a beautiful bird.
    Mon héroïne regarde un bel oiseau.
I like this old hero.
    J'aime ce vieux héros.
That hero waits for these heroes.
    Ce héros attend ces héros.
Those women often look for that man.
    Ces femmes cherchent souvent cet homme.
You saw many geese.
    Tu as vu beaucoup d'oies.
I saw the desk of my uncle.
    J'ai vu le bureau de mon oncle.
She likes the letters of the king.
    Elle aime les lettres du roi.
We looked at the clock of the heroes.
    Nous avons regardé l'horloge des héros.
The boys are sad.
    Les garçons sont tristes.
The boxes were not very deep.
    Les boîtes n'étaient pas très profondes.
My clock is new.
    Mon horloge est neuve.
The school will be noisy.
    L'école sera bruyante.
She is too tired.
    Elle est trop fatiguée.
I am going there now.
    J'y vais maintenant.
I am not going there.
    Je n'y vais pas.
The girls went there yesterday.
    Les filles y sont allées hier.
We will return there next week.
    Nous y retournerons la semaine prochaine.
The queens arrived at the hotel.
    Les reines sont arrivées à l'hôtel.
He goes to the market every day.
    Il va au marché tous les jours.
She never stayed at the school.
    Elle n'est jamais restée à l'école.
They work near the airport.
    Ils travaillent près de l'aéroport.
I slept in the garden last week.
    J'ai dormi dans le jardin la semaine dernière.
My sister sings with the king.
    Ma sœur chante avec le roi.
There is a big owl behind the gate.
    Il y a un grand hibou derrière le portail.
There was no orange in the basket.
    Il n'y avait pas d'orange dans le panier.
There are some old books on my shelf.
    Il y a de vieux livres sur mon étagère.
The newspapers are not under the bench.
    Les journaux ne sont pas sous le banc.
Where are the mice?
    Où sont les souris ?
Do you like the strawberries?
    Est-ce que tu aimes les fraises ?
Did he wait for the queen yesterday?
    Est-ce qu'il a attendu la reine hier ?
Was the hotel crowded?
    Est-ce que l'hôtel était bondé ?
Where does he sleep?
    Où est-ce qu'il dort ?
When will the women return to the station?
    Quand est-ce que les femmes retourneront à la gare ?
Why did you sell the table?
    Pourquoi est-ce que tu as vendu la table ?
What did she write this morning?
    Qu'est-ce qu'elle a écrit ce matin ?
What does the boy look at?
    Qu'est-ce que le garçon regarde ?
Who will not eat the lemons?
    Qui ne mangera pas les citrons ?
Which cars did he buy?
    Quelles voitures est-ce qu'il a achetées ?
Which red lamp do you choose?
    Quelle lampe rouge est-ce que tu choisis ?
I did not see her.
    Je ne l'ai pas vue.
He saw me.
    Il m'a vu.
You will never help them.
    Tu ne les aideras jamais.
She often listens to him.
    Elle l'écoute souvent.
They waited for us this morning.
    Ils nous ont attendus ce matin.
I will look for you.
    Je te chercherai.
The pear was juicy and he ate it.
    La poire était juteuse et il l'a mangée.
The mirrors were broken but we did not sell them.
    Les miroirs étaient cassés mais nous ne les avons pas vendus.
The watch is expensive but I will buy it.
    La montre est chère mais je l'achèterai.
He gave me an orange.
    Il m'a donné une orange.
We will not give them any books.
    Nous ne leur donnerons pas de livres.
She gives the letter to the men.
    Elle donne la lettre aux hommes.
You spoke to her.
    Tu lui as parlé.
She speaks to the king.
    Elle parle au roi.
I dream of the garden.
    Je rêve du jardin.
They never dream of the house.
    Ils ne rêvent jamais de la maison.
He dreamed of an old clock.
    Il a rêvé d'une vieille horloge.
The girl sings because she is happy.
    La fille chante parce qu'elle est heureuse.
He works but the kings are not tired.
    Il travaille mais les rois ne sont pas fatigués.
"""
LINES = [line.strip() for line in BY_HAND.strip().splitlines()]
PAIRS = list(zip(LINES[::2], LINES[1::2]))
PLAIN = tuple(dict.fromkeys(TEMPLATES))


class DeadEnd(Exception):
    """No option leads to the sentence that is wanted."""


def guided(target: str, vocabulary: set[str]):
    """A `pick` that takes only options whose English words occur in the target sentence, at random among those."""
    words = set(target.split())
    words |= {"a"} if "an" in words else set()
    words |= {"some"} if "any" in words else set()
    uniform = random.Random(0).random
    fitting: dict[int, tuple] = {}  # by identity; the options are kept, so that no identity comes twice

    def fits(option) -> bool:
        if isinstance(option, Noun):
            return option.english in words or option.english_plural in words
        if isinstance(option, Adjective):
            return option.english in words
        if isinstance(option, Verb):
            forms = {*option.english, option.english[0].removesuffix("e") + "ing"}
            return bool(forms & words) and (not option.particle or option.particle in words)
        if isinstance(option, str):
            if option in ("past", "present", "future"):
                return ("will" in words) == (option == "future")
            return all(word in words or word not in vocabulary for word in option.split())
        if isinstance(option, tuple) and isinstance(option[0], Noun):  # the two nouns of a pronoun sentence
            return fits(option[0]) and fits(option[1])
        if isinstance(option, tuple) and isinstance(option[0], tuple) and isinstance(option[0][0], Noun):
            return any(map(fits, option[0]))  # a class of nouns and what goes with it
        if option is None:  # nobody that a pronoun names
            return any(map(fits, PEOPLE))
        return fits(option[0]) if isinstance(option, tuple) else True

    def pick(options):
        if id(options) not in fitting:
            fitting[id(options)] = (options, [option for option in options if fits(option)])
        good = fitting[id(options)][1]
        if not good:
            raise DeadEnd
        return good[int(uniform() * len(good))]

    return pick


def generated_translation(english: str, task: EnglishFrench) -> str | None:
    """What the grammar puts beside this English sentence, once it comes to say it."""
    target = " ".join(tokenize(english, "english"))
    pick = guided(target, set(task.source_tokens))
    is_pronoun_sentence = " , it was " in target or " because it " in target
    for attempt in range(50_000):
        try:
            if is_pronoun_sentence:
                construction = CONSTRUCTIONS[attempt % len(CONSTRUCTIONS)]
                split = ("train", "test")[attempt // len(CONSTRUCTIONS) % 2]
                drawn, french = draw_sentence(pick, construction, split=split).render()
            else:
                drawn, french = PLAIN[attempt % len(PLAIN)](pick)
        except DeadEnd:
            continue
        if drawn == target:
            return detokenize(contract(french.split()), "french")
    return None


def test_there_are_enough_hand_written_translations():
    assert len(PAIRS) >= 60
    assert len({english for english, _ in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize(("english", "french"), PAIRS, ids=[english for english, _ in PAIRS])
def test_translation_agrees_with_the_one_written_by_hand(task, english, french):
    assert generated_translation(english, task) == french


# -- rules of French, checked on the sentences alone ------------------------------------------------------------------

VOWEL_ONSET = re.compile(r"(?!héros|hibou)[aeiouyhàâéèêîôœ]")
GENDER = {form: noun.gender for noun in NOUNS for form in (noun.french, noun.french_plural) if form}
SINGULARS = {noun.french for noun in NOUNS} - {noun.french_plural for noun in NOUNS}
PLURALS = {noun.french_plural for noun in NOUNS} - {noun.french for noun in NOUNS} - {""}
SUBJECTS = {"je": "ms", "j'": "ms", "tu": "ms", "il": "ms", "elle": "fs", "nous": "mp", "ils": "mp"}


def windows(examples, n):
    """All runs of n French tokens."""
    return {run for e in examples for run in zip(*(e.french[i:] for i in range(n)))}


def number_and_gender(noun: str) -> str:
    return GENDER[noun] + ("p" if noun in PLURALS else "s")


def test_words_that_elide_never_stand_before_a_vowel(train):
    full = {"le", "la", "je", "ne", "me", "te", "de", "que", "ma", "ta", "sa", "ce"}
    assert not {pair for pair in windows(train, 2) if pair[0] in full and VOWEL_ONSET.match(pair[1])}


def test_elided_words_stand_only_before_a_vowel(train):
    elided = {"l'", "j'", "n'", "m'", "t'", "d'", "qu'", "cet", "bel", "nouvel", "vieil"}
    pairs = {pair for pair in windows(train, 2) if pair[0] in elided}
    assert {left for left, _ in pairs} == elided
    assert not {pair for pair in pairs if not VOWEL_ONSET.match(pair[1])}


def test_beau_nouveau_vieux_stand_before_no_singular_noun_with_a_vowel(train):
    pairs = {pair for pair in windows(train, 2) if pair[0] in ("beau", "nouveau", "vieux")}
    assert not {pair for pair in pairs if pair[1] in SINGULARS and VOWEL_ONSET.match(pair[1])}


def test_prepositions_fuse_with_the_article(train):
    pairs = windows(train, 2)
    assert not pairs & {("de", "le"), ("de", "les"), ("à", "le"), ("à", "les"), ("de", "un"), ("de", "des")}
    assert {("de", "l'"), ("à", "l'"), ("de", "la"), ("à", "la")} <= pairs
    assert {"du", "des", "au", "aux"} <= {left for left, _ in pairs}


def test_determiners_agree_with_their_nouns(train):
    table = {
        **dict.fromkeys(["le", "un", "ce", "cet", "au", "du", "quel"], ("ms",)),
        **dict.fromkeys(["la", "une", "cette", "ma", "ta", "sa", "quelle"], ("fs",)),
        **dict.fromkeys(["l'", "notre", "leur", "mon", "ton", "son"], ("ms", "fs")),
        **dict.fromkeys(["les", "ces", "mes", "tes", "ses", "nos", "leurs", "aux", "deux", "trois"], ("mp", "fp")),
        "quels": ("mp",),
        "quelles": ("fp",),
    }
    for left, right in windows(train, 2):
        if left in table and (right in SINGULARS or right in PLURALS):
            assert number_and_gender(right) in table[left], (left, right)
        if left in ("mon", "ton", "son") and right in GENDER:
            assert GENDER[right] == "m" or VOWEL_ONSET.match(right), (left, right)


def test_negation_has_both_its_words(train):
    for example in train:
        closed = sum(token in ("pas", "jamais") for token in example.french)
        assert closed == sum(token in ("ne", "n'") for token in example.french), example


def test_negated_verbs_have_de_for_un_une_and_des(train):
    # The object follows at once, or after the participle; "rêver de" has its own preposition (pas des = de + les).
    transitive = {verb.participle for verb in VERBS.values()}
    for first, second, third in windows([e for e in train if e.template != "dreaming"], 3):
        if first in ("pas", "jamais"):
            assert second not in ("un", "une", "des")
            assert not (second in transitive and third in ("un", "une")), (first, second, third)


def test_participles_with_etre_agree_with_their_subject(train):
    endings = {"ms": "", "fs": "e", "mp": "s", "fp": "es"}
    forms = {p + e: e for p in ("allé", "arrivé", "retourné", "resté") for e in endings.values()}
    seen = Counter()
    for example in train:
        for i, token in enumerate(example.french):
            if token not in forms:
                continue
            subject = next(word for word in example.french[:i] if word in SUBJECTS or word in GENDER)
            if subject == "héros":  # the same in both numbers
                continue
            agreement = SUBJECTS.get(subject) or number_and_gender(subject)
            assert forms[token] == endings[agreement], example
            seen[agreement] += 1
    assert set(seen) == set(endings)


def test_sentences_end_in_their_only_full_stop_or_question_mark(train, test):
    for example in train + test:
        for tokens in (example.english, example.french):
            assert [token for token in tokens if token in (".", "?")] == [tokens[-1]]
            assert 3 <= len(tokens) <= 28
        assert example.english[-1] == example.french[-1]


# -- one translation, fixed seeds, splits -----------------------------------------------------------------------------


def test_no_english_sentence_has_two_translations(task, train, test):
    # As ids, which is the quicker way to many sentences; also shows that every word occurs, and no other.
    source = {token: i for i, token in enumerate(task.source_tokens)}
    target = {token: i for i, token in enumerate(task.target_tokens)}
    translations: dict[tuple[int | None, ...], tuple[int | None, ...]] = {}
    for example in train + test:
        english, french = (tuple(map(ids.get, t)) for ids, t in ((source, example.english), (target, example.french)))
        assert translations.setdefault(english, french) == french
    for english_ids, french_ids in task.sample_ids(np.random.default_rng(13), extent(15_000, 150_000), source, target):
        french = tuple(french_ids)
        assert translations.setdefault(tuple(english_ids), french) == french
    assert len(translations) > extent(50_000, 170_000)
    assert {i for english in translations for i in english} == set(source.values())
    assert {i for french in translations.values() for i in french} == set(target.values())


def test_the_same_seed_gives_the_same_sentences_and_a_generator_goes_on(task):
    first, again = np.random.default_rng(3), np.random.default_rng(3)
    once = task.sample(first, 200)
    assert once == task.sample(again, 200) == EnglishFrench().sample(np.random.default_rng(3), 200)
    assert once != task.sample(first, 200)


@pytest.mark.parametrize(("split", "checksum"), [("train", 1323936808), ("test", 2553568727)])
def test_a_seed_draws_the_sentences_that_published_results_were_measured_on(request, split, checksum):
    """Whoever changes the grammar on purpose writes so in CHANGELOG.md, and measures again."""
    examples = request.getfixturevalue(split)
    found = zlib.crc32("\n".join(" ".join((e.template, *e.english, *e.french)) for e in examples).encode())
    assert found == checksum


def test_ids_are_those_of_the_same_sentences(task):
    source = {token: i for i, token in enumerate(task.source_tokens)}
    target = {token: i for i, token in enumerate(task.target_tokens)}
    ids = task.sample_ids(np.random.default_rng(4), 500, source, target)
    examples = task.sample(np.random.default_rng(4), 500)
    assert ids == [([source[t] for t in e.english], [target[t] for t in e.french]) for e in examples]


def test_nothing_touches_global_randomness(task):
    numpy_before = np.random.get_state()[1].tolist()  # noqa: NPY002
    python_before = random.getstate()
    example = task.sample_hard(np.random.default_rng(0), 5)[0]
    task.sample(np.random.default_rng(0), 50)
    task.swap_antecedent(example, np.random.default_rng(0))
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002
    assert random.getstate() == python_before


def test_splits_share_neither_sentences_nor_noun_pairs(train, test):
    def noun_pairs(examples):
        return {frozenset((e.english[e.antecedent], e.english[e.distractor])) for e in examples if e.pronoun}

    assert not {example.english for example in train} & {example.english for example in test}
    assert not noun_pairs(train) & noun_pairs(test)
    assert all(held_out(" ".join(e.english)) for e in test if e.pronoun is None)
    assert not any(held_out(" ".join(e.english)) for e in train if e.pronoun is None)


def test_the_training_split_has_every_template_and_its_share_of_pronouns(train):
    names = {c.name for c in CONSTRUCTIONS} | {template.__name__.strip("_") for template in TEMPLATES}
    assert {example.template for example in train} == names
    assert 0.48 < sum(example.pronoun is not None for example in train) / len(train) < 0.52


def test_there_are_about_300_english_and_600_french_word_forms(task):
    assert 280 <= len(task.source_tokens) <= 400
    assert 560 <= len(task.target_tokens) <= 800
    for tokens in (task.source_tokens, task.target_tokens):
        assert list(tokens) == sorted(set(tokens))


def test_an_unknown_split_is_named(task):
    for draw in (task.sample, task.sample_hard, task.sample_easy):
        with pytest.raises(ValueError, match="'valid'"):
            draw(np.random.default_rng(0), 1, split="valid")


def test_every_sentence_survives_the_round_trip_through_text(train, test):
    for example in train[:15_000] + test:
        assert tuple(tokenize(example.english_text, "english")) == example.english
        assert tuple(tokenize(example.french_text, "french")) == example.french


def test_an_example_knows_its_texts():
    example = Example(("i", "sing", "."), ("je", "chante", "."), "activity")
    assert (example.english_text, example.french_text, example.french_pronoun) == ("I sing.", "Je chante.", None)
