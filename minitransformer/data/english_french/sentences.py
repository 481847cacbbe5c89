"""The plain sentences of the built-in task: each template draws one sentence.

A template takes `pick`, which chooses one of a sequence, and returns (English, uncontracted French). It draws the
phrases, each in both languages, and puts them together. Its docstring is one of its sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .lexicon import (
    ADJECTIVES,
    ANIMALS,
    CONTAINERS,
    FRUITS,
    FURNITURE,
    GOODS,
    HOMES,
    OPENINGS,
    PEOPLE,
    PLACES,
    TEXTS,
    Adjective,
    Noun,
    Verb,
    adjectives,
    nouns,
    verbs,
)
from .phrases import (
    DETERMINERS,
    PRONOUNS,
    Pair,
    Pick,
    adjective_for,
    clause,
    copula,
    existence,
    noun_group,
    noun_phrase,
    question,
    slot_of,
    together,
)
from .pronouns import CONSTRUCTIONS, DATIVES

Subject = tuple[Pair, int]  # and its slot

# -- what goes with what --------------------------------------------------------------------------------------------

# Adjectives before and after the French noun, and adjectives that follow "is".
_KINDS: tuple[tuple[tuple[Noun, ...], str, str, str], ...] = (
    (PEOPLE, "young old", "famous sad happy tired french italian", "happy sad tired famous kind"),
    (ANIMALS, "small big old beautiful", "black white", "fast slow aggressive shy nervous tired"),
    (FRUITS, "small big beautiful good", "ripe rotten", "ripe juicy rotten"),
    (
        GOODS,
        "small big old new beautiful pretty",
        "red blue green black white french italian",
        "expensive heavy broken fragile",
    ),
    (FURNITURE, "small big old new beautiful pretty", "red blue green black white", "wobbly low heavy"),
    (CONTAINERS, "small big old new pretty", "red blue green black white", "open deep full"),
    (TEXTS, "old new beautiful good", "french italian", "long short"),
    (OPENINGS, "small big old", "", "open wide narrow"),
    (PLACES, "small big old new beautiful", "", "crowded noisy lively deserted"),
    (HOMES, "small big old beautiful", "", "noisy deserted"),
)
_BEFORE = {noun: adjectives(before) for kind, before, _, _ in _KINDS for noun in kind}
_AFTER = {noun: adjectives(after) for kind, _, after, _ in _KINDS for noun in kind}
_SAID_OF = {noun: adjectives(said) for kind, _, _, said in _KINDS for noun in kind}
for _noun in GOODS:
    _SAID_OF[_noun] += (ADJECTIVES["new (brand)"],)
for _noun in nouns("boy girl"):  # vieux garçon, vieille fille: unmarried people of some age
    _BEFORE[_noun] = adjectives("young")

_THINGS = GOODS + FRUITS + TEXTS + FURNITURE + CONTAINERS
_ANYTHING = _THINGS + ANIMALS + PEOPLE
_COUNTABLE = _THINGS + ANIMALS
_MOVABLE = GOODS + FRUITS + TEXTS + ANIMALS
_DREAMT = _ANYTHING + PLACES + HOMES
_TRANSITIVE: dict[Verb, tuple[Noun, ...]] = {
    verb: objects
    for objects, names in (
        (FRUITS, ("eat",)),
        (_THINGS, ("buy", "sell", "have", "choose")),
        (GOODS + TEXTS + FRUITS, ("find",)),
        (_ANYTHING, ("see", "look for", "look at", "like")),
        (CONTAINERS + nouns("letter book newspaper umbrella"), ("open",)),
        (nouns("letter book"), ("write",)),
        (PEOPLE, ("help", "listen to", "wait for")),
    )
    for verb in verbs(*names)
}
_TRANSITIVE_VERBS = tuple(_TRANSITIVE)
_HAVE, _LIKE = verbs("have", "like")
_ABOUT_THINGS = tuple(verb for verb, objects in _TRANSITIVE.items() if len(objects) > 1 and objects is not PEOPLE)
_ABOUT_PEOPLE = verbs("help", "see", "listen to", "wait for", "look for", "look at")
_GIVING = verbs("give", "sell")
_MOTION = tuple(zip(verbs("go", "arrive", "return", "stay"), ("to", "at", "to", "at")))
_RESTING = verbs("work", "sleep", "sing")
_GO, _ARRIVE, _RETURN, _STAY = (verb for verb, _ in _MOTION)
_SPEAK, _DREAM = verbs("speak to", "dream of")
_LOOKING = verbs("see", "like", "look at", "look for", "find", "buy")
# Only with these verbs does a participle agree with an object before it.
_AGREEING = verbs("eat", "buy", "choose", "find", "sell", "see")
_THINGS_FOR = {verb: tuple(noun for noun in _TRANSITIVE[verb] if noun not in PEOPLE) for verb in _AGREEING}

# Determiners. Most nouns may be "my" something; a man, a king or a market may not.
_OWNERS = ("my", "your", "his", "her", "our", "their")
_SINGULAR = ("the", "the", "a", "a", "this", "that")
_PLURAL = ("the", "some", "some", "these", "those", "two", "three", "many")
_DEFINITE = ("the", "the", "this", "that")
_DEFINITE_PLURAL = ("the", "the", "these", "those", "two", "three")
_FREE = ((_SINGULAR, _PLURAL), (_SINGULAR + _OWNERS, _PLURAL + _OWNERS))  # [may be owned][plural]
_KNOWN = ((_DEFINITE, _DEFINITE_PLURAL), (_DEFINITE + _OWNERS, _DEFINITE_PLURAL + _OWNERS))
_NOT_OWNED = frozenset(nouns("man woman boy girl king queen") + PLACES + OPENINGS)

_TENSES = ("present", "past", "future")
_ADVERBS = ("", "", "", "not", "not", "never", "often", "always")
_TIMES = {
    "present": (("every day", "tous les jours"), ("today", "aujourd'hui")),
    "progressive": (("now", "maintenant"), ("today", "aujourd'hui")),
    "past": (("yesterday", "hier"), ("this morning", "ce matin"), ("last week", "la semaine dernière")),
    "future": (("tomorrow", "demain"), ("tonight", "ce soir"), ("next week", "la semaine prochaine")),
}
_ABSOLUTE = frozenset(
    (*adjectives("broken open full deserted crowded rotten"), ADJECTIVES["new (brand)"])
)  # not "very"
_INTENSIFIERS = (("", ""), ("", ""), ("very", "très"), ("too", "trop"))
_CONJUNCTIONS = (("and", "et"), ("but", "mais"), ("because", "parce que"))
_LOCATIONS = (
    (("at", "à"), PLACES),
    (("in", "dans"), HOMES),
    (("behind", "derrière"), PLACES + OPENINGS + HOMES),
    (("in front of", "devant"), PLACES + OPENINGS + HOMES),
    (("near", "près de"), PLACES + OPENINGS + FURNITURE + HOMES),
    (("with", "avec"), PEOPLE),
)
_SURROUNDINGS = tuple(where for where in _LOCATIONS if where[1] is not PEOPLE)
_SPOTS = (
    (("on", "sur"), FURNITURE),
    (("under", "sous"), FURNITURE),
    (("behind", "derrière"), FURNITURE + CONTAINERS + OPENINGS),
    (("near", "près de"), FURNITURE + CONTAINERS + OPENINGS),
    (("in", "dans"), CONTAINERS),
)
_WHERE_ADJECTIVES = ("before", "after", "before", "after", "both")
_HALF, _THIRD = (True, False), (True, False, False)

# The clitic object, the participle's agreement with it, and the subjects that it cannot go with.
_OBJECTS = (
    ("me", "me", 0, ("i", "we")),
    ("you", "te", 1, ("you",)),
    ("him", "le", 2, ()),
    ("her", "la", 3, ()),
    ("us", "nous", 4, ("i", "we")),
    ("them", "les", 5, ()),
)
_NOT_TO_ONESELF = {"me": ("i", "we"), "you": ("you",), "us": ("i", "we")}

# The subjects that are possible, by the pronouns that are not; None is somebody who has to be named.
_SOMEBODY_BUT: dict[tuple[str, ...], tuple[Subject | None, ...]] = {
    but: (*((who, slot) for slot, who in enumerate(PRONOUNS) if who[0] not in but), *[None] * (6 - len(but)))
    for but in ((), ("you",), ("i", "we"))
}

# -- parts of sentences ---------------------------------------------------------------------------------------------

_FULL_STOP, _QUESTION_MARK = (".", "."), ("?", "?")


def _subject(pick: Pick, but: tuple[str, ...] = (), bare: bool = False) -> Subject:
    """Somebody: a pronoun half of the time (none of those in `but`), else people, without adjectives if `bare`."""
    somebody = pick(_SOMEBODY_BUT[but])
    if somebody:
        return somebody
    noun, plural = pick(PEOPLE), pick(_THIRD)
    determiner = _known(pick, noun, plural)
    phrase = noun_phrase(noun, determiner, plural) if bare else _described(pick, noun, plural, determiner)
    return phrase, slot_of(noun, plural)


def _known(pick: Pick, noun: Noun, plural: bool) -> str:
    """A determiner for something definite: the, this, my."""
    return pick(_KNOWN[noun not in _NOT_OWNED][plural])


def _free(pick: Pick, noun: Noun, plural: bool) -> str:
    """Any determiner, also a, some and many."""
    return pick(_FREE[noun not in _NOT_OWNED][plural])


def _described(pick: Pick, noun: Noun, plural: bool, determiner: str, negated: bool = False) -> Pair:
    """A noun phrase, now and then with one or two adjectives."""
    before = after = None
    if pick(_THIRD):
        place = pick(_WHERE_ADJECTIVES)
        if place != "after" or not _AFTER[noun]:
            before = pick(_BEFORE[noun])
        if place != "before" and _AFTER[noun]:
            after = pick(_AFTER[noun])
    return noun_phrase(noun, determiner, plural, before, after, negated)


def _definite(pick: Pick, noun: Noun, plural: bool = False) -> Pair:
    """A described noun phrase with a definite determiner."""
    return _described(pick, noun, plural, _known(pick, noun, plural))


def _object(pick: Pick, verb: Verb, negated: bool = False) -> Pair:
    noun, plural = pick(_TRANSITIVE[verb]), pick(_THIRD)
    choose = _known if verb is _LIKE else _free  # "to like some apples" is another matter in French
    return _described(pick, noun, plural, choose(pick, noun, plural), negated)


def _tense(pick: Pick, verb: Verb) -> str:
    # "I had" could be either French past.
    return pick(("present", "future")) if verb is _HAVE else pick(_TENSES)


def _tense_of_action(pick: Pick, progressive: bool = True) -> tuple[str, str]:
    """Tense and adverb, where the present may be progressive."""
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    if progressive and tense == "present" and adverb in ("", "not"):
        tense = pick(("present", "progressive"))
    return tense, adverb


def _time(pick: Pick, tense: str, adverb: str = "") -> Pair:
    """When it happens: not beside "often" and the like, and not in every sentence."""
    if adverb not in ("", "not") or pick(_HALF):
        return "", ""
    return pick(_TIMES[tense])


def _somewhere(pick: Pick, locations: Sequence[tuple[Pair, tuple[Noun, ...]]]) -> Pair:
    preposition, places = pick(locations)
    return together(preposition, _definite(pick, pick(places)))


def _predicate(pick: Pick, slot: int, said: tuple[Adjective, ...]) -> Pair:
    adjective = pick(said)
    intensifier = ("", "") if adjective in _ABSOLUTE else pick(_INTENSIFIERS)
    return together(intensifier, (adjective.english, adjective_for(slot, adjective)))


def _is_negated(adverb: str) -> bool:
    return adverb in ("not", "never")


# -- templates ------------------------------------------------------------------------------------------------------


def _statement(pick: Pick) -> Pair:
    """The boys did not buy a blue car yesterday."""
    verb = pick(_TRANSITIVE_VERBS)
    tense, adverb = _tense(pick, verb), pick(_ADVERBS)
    subject, slot = _subject(pick)
    object_ = _object(pick, verb, _is_negated(adverb))
    time = _time(pick, tense, adverb)
    return together(subject, clause(verb, slot, tense, adverb), object_, time, _FULL_STOP)


def _possession(pick: Pick) -> Pair:
    """She likes the old car of my uncle."""
    verb = pick(_LOOKING)
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    subject, slot = _subject(pick)
    plural = pick(_THIRD)
    object_ = _described(pick, pick(_THINGS), plural, "the")
    owner = _definite(pick, pick(PEOPLE), pick(_THIRD))
    return together(subject, clause(verb, slot, tense, adverb), object_, ("of", "de"), owner, _FULL_STOP)


def _description(pick: Pick) -> Pair:
    """The hens were never very nervous."""
    tense, adverb = pick(_TENSES), pick(("", "", "", "not", "not", "never", "always"))
    if pick(_HALF):
        subject, slot = _subject(pick, bare=True)
        said = _SAID_OF[PEOPLE[0]]
    else:
        noun = pick(pick(_KINDS)[0])
        plural = bool(noun.english_plural) and pick(_HALF)
        subject = noun_phrase(noun, _known(pick, noun, plural), plural)
        slot, said = slot_of(noun, plural), _SAID_OF[noun]
    return together(subject, copula(slot, tense, adverb), _predicate(pick, slot, said), _FULL_STOP)


def _motion(pick: Pick) -> Pair:
    """My sister did not return to the market yesterday."""
    verb, preposition = pick(_MOTION)
    tense, adverb = _tense_of_action(pick, progressive=verb is not _ARRIVE)
    subject, slot = _subject(pick)
    time = _time(pick, tense, adverb)
    place = _definite(pick, pick(PLACES))
    return together(subject, clause(verb, slot, tense, adverb), (preposition, "à"), place, time, _FULL_STOP)


def _there(pick: Pick) -> Pair:
    """I am going there: *j'y vais*."""
    verb = pick((_GO, _GO, _RETURN, _STAY, *_RESTING))
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    if tense == "future" and verb is _GO:  # nobody says "j'y irai"
        tense = "past"
    if tense == "present" and adverb in ("", "not"):
        tense = pick(("present", "progressive"))
    subject, slot = _subject(pick)
    time = _time(pick, tense, adverb)
    return together(subject, clause(verb, slot, tense, adverb, "y"), ("there", ""), time, _FULL_STOP)


def _activity(pick: Pick) -> Pair:
    """The hero is sleeping near the door."""
    verb = pick(_RESTING)
    tense, adverb = _tense_of_action(pick)
    subject, slot = _subject(pick)
    where = _somewhere(pick, _LOCATIONS)
    return together(subject, clause(verb, slot, tense, adverb), where, _time(pick, tense, adverb), _FULL_STOP)


def _existence(pick: Pick) -> Pair:
    """There is no goat in the garden: *il n'y a pas de chèvre*."""
    noun, plural, negated = pick(_COUNTABLE), pick(_HALF), pick(_THIRD)
    before = pick(_BEFORE[noun]) if pick(_THIRD) else None
    there_is = existence(pick(("present", "past")), plural, negated)
    if negated:
        subject = noun_group(noun, plural, before, None)
    else:
        determiner = pick(("some", "two", "three", "many")) if plural else "a"
        subject = noun_phrase(noun, determiner, plural, before)
    return together(there_is, subject, _somewhere(pick, _SPOTS if pick(_HALF) else _SURROUNDINGS), _FULL_STOP)


def _place_of(pick: Pick) -> Pair:
    """The old watch is not in the drawer."""
    noun, plural = pick(_MOVABLE), pick(_THIRD)
    subject = _definite(pick, noun, plural)
    be = copula(slot_of(noun, plural), pick(_TENSES), pick(("", "", "not", "always")))
    return together(subject, be, _somewhere(pick, _SPOTS), _FULL_STOP)


def _where_is(pick: Pick) -> Pair:
    """Where is the goose?"""
    noun, plural = pick(_ANYTHING), pick(_THIRD)
    subject = _definite(pick, noun, plural)
    be = copula(slot_of(noun, plural), pick(("present", "past")))
    return together(("where", "où"), be, subject, _QUESTION_MARK)


def _yes_or_no(pick: Pick) -> Pair:
    """Did you see the queen? One form in French: *est-ce que*."""
    verb = pick(_TRANSITIVE_VERBS)
    tense = _tense(pick, verb)
    subject, slot = _subject(pick)
    do, base = question(verb, slot, tense)
    return together(do, subject, base, _object(pick, verb), _time(pick, tense), _QUESTION_MARK)


def _is_it_so(pick: Pick) -> Pair:
    """Is the church deserted?"""
    if pick(_HALF):
        (s_en, s_fr), slot = _subject(pick, bare=True)
        said = _SAID_OF[PEOPLE[0]]
    else:
        noun = pick(pick(_KINDS)[0])
        s_en, s_fr = noun_phrase(noun, _known(pick, noun, False))
        slot, said = slot_of(noun), _SAID_OF[noun]
    be_en, be_fr = copula(slot, pick(("present", "past")))
    be, subject = (f"{be_en} {s_en}", "est-ce que"), ("", f"{s_fr} {be_fr}")
    return together(be, subject, _predicate(pick, slot, said), _QUESTION_MARK)


def _where_when_why(pick: Pick) -> Pair:
    """Why did they return to the hotel?"""
    asked = pick((("where", "où"), ("when", "quand"), ("why", "pourquoi")))
    tense = pick(_TENSES)
    subject, slot = _subject(pick)
    rest = ("", "")
    if asked[0] == "where":
        verb = pick((_GO, _STAY, *_RESTING))
    elif pick(_HALF):
        verb = pick(_ABOUT_THINGS)
        tense = _tense(pick, verb)
        rest = _object(pick, verb)
    else:
        verb, preposition = pick(_MOTION)
        rest = together((preposition, "à"), noun_phrase(pick(PLACES), pick(_DEFINITE)))
    do, base = question(verb, slot, tense)
    return together(asked, do, subject, base, rest, _QUESTION_MARK)


def _what(pick: Pick) -> Pair:
    """What did you look for? Literally *qu'est-ce que*, what is it that."""
    verb = pick(_ABOUT_THINGS)
    tense = _tense(pick, verb)
    subject, slot = _subject(pick)
    do, base = question(verb, slot, tense)
    return together(("what", "que"), do, subject, base, _time(pick, tense), _QUESTION_MARK)


def _who(pick: Pick) -> Pair:
    """Who never eats the apples?"""
    verb = pick(_TRANSITIVE_VERBS)
    tense, adverb = _tense(pick, verb), pick(_ADVERBS)
    object_ = _object(pick, verb, _is_negated(adverb))
    return together(("who", "qui"), clause(verb, 6, tense, adverb), object_, _QUESTION_MARK)


def _which(pick: Pick) -> Pair:
    """Which cars did he buy? The participle agrees with the object before it: *achetées*."""
    verb = pick(_AGREEING)
    tense = pick(_TENSES)
    subject, slot = _subject(pick)
    noun, plural = pick(_TRANSITIVE[verb]), pick(_HALF)
    object_ = _described(pick, noun, plural, "which")
    do, base = question(verb, slot, tense, slot_of(noun, plural))
    return together(object_, do, subject, base, _QUESTION_MARK)


def _object_pronoun(pick: Pick) -> Pair:
    """I did not see her: *je ne l'ai pas vue*."""
    verb = pick(_ABOUT_PEOPLE)
    o_en, o_fr, o_slot, excluded = pick(_OBJECTS)
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    subject, slot = _subject(pick, but=excluded)
    seen = clause(verb, slot, tense, adverb, o_fr, o_slot)
    return together(subject, seen, (o_en, ""), _time(pick, tense, adverb), _FULL_STOP)


def _object_it(pick: Pick) -> Pair:
    """The apples were rotten and I did not eat them: the object is named before, so French can agree with it."""
    verb = pick(_AGREEING)
    noun, plural = pick(_THINGS_FOR[verb]), pick(_HALF)
    tense, adverb = pick(_TENSES), pick(("", "", "not", "never", "always"))
    named, n_slot = noun_phrase(noun, _known(pick, noun, plural), plural), slot_of(noun, plural)
    be = copula(n_slot, "past" if tense == "past" else "present")
    predicate = _predicate(pick, n_slot, _SAID_OF[noun])
    conjunction = pick(_CONJUNCTIONS[:2])
    subject, slot = _subject(pick)
    it = "les" if plural else "le" if noun.gender == "m" else "la"
    eaten = clause(verb, slot, tense, adverb, it, n_slot)
    return together(named, be, predicate, conjunction, subject, eaten, ("them" if plural else "it", ""), _FULL_STOP)


def _giving(pick: Pick) -> Pair:
    """He gave me a book; she showed the letter to the king."""
    verb = pick(_GIVING)
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    noun, plural = pick(_THINGS), pick(_THIRD)
    object_ = _described(pick, noun, plural, _free(pick, noun, plural), _is_negated(adverb))
    if pick(_HALF):
        to_en, to_fr = pick(DATIVES)
        subject, slot = _subject(pick, but=_NOT_TO_ONESELF.get(to_en, ()))
        return together(subject, clause(verb, slot, tense, adverb, to_fr), (to_en, ""), object_, _FULL_STOP)
    subject, slot = _subject(pick)
    receiver, several = pick(PEOPLE), pick(_THIRD)
    to = noun_phrase(receiver, _known(pick, receiver, several), several)
    return together(subject, clause(verb, slot, tense, adverb), object_, ("to", "à"), to, _FULL_STOP)


def _speaking(pick: Pick) -> Pair:
    """The king speaks to the queen; she speaks to him: *elle lui parle*."""
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    time = _time(pick, tense, adverb)
    if pick(_HALF):
        to_en, to_fr = pick(DATIVES)
        subject, slot = _subject(pick, but=_NOT_TO_ONESELF.get(to_en, ()))
        return together(subject, clause(_SPEAK, slot, tense, adverb, to_fr), (to_en, ""), time, _FULL_STOP)
    subject, slot = _subject(pick)
    hearer = _definite(pick, pick(PEOPLE), pick(_THIRD))
    return together(subject, clause(_SPEAK, slot, tense, adverb), ("", "à"), hearer, time, _FULL_STOP)


def _dreaming(pick: Pick) -> Pair:
    """They dream of the garden: after *de* the articles fuse or elide."""
    tense, adverb = pick(_TENSES), pick(_ADVERBS)
    subject, slot = _subject(pick)
    noun = pick(_DREAMT)
    plural = bool(noun.english_plural) and pick(_THIRD)
    dream = _described(pick, noun, plural, _known(pick, noun, plural) if plural else _free(pick, noun, plural))
    return together(subject, clause(_DREAM, slot, tense, adverb), ("", "de"), dream, _FULL_STOP)


def _two_clauses(pick: Pick) -> Pair:
    """The girl sings because she is happy."""
    tense = pick(_TENSES)
    subject, slot = _subject(pick)
    object_ = ("", "")
    if pick(_HALF):
        verb, adverb = pick(_RESTING), pick(_ADVERBS)
    else:
        verb, adverb = pick(_ABOUT_THINGS), pick(_ADVERBS)
        if verb is _HAVE and tense == "past":
            tense = "present"
        object_ = _object(pick, verb, _is_negated(adverb))
    conjunction = pick(_CONJUNCTIONS)
    other, other_slot = _subject(pick, bare=True)
    be = copula(other_slot, "past" if tense == "past" else "present", pick(("", "", "not", "always")))
    predicate = _predicate(pick, other_slot, _SAID_OF[PEOPLE[0]])
    return together(subject, clause(verb, slot, tense, adverb), object_, conjunction, other, be, predicate, _FULL_STOP)


# The templates, and how often each is drawn.
_WEIGHTED: tuple[tuple[Callable[[Pick], Pair], int], ...] = (
    (_statement, 4),
    (_possession, 1),
    (_description, 3),
    (_motion, 2),
    (_there, 1),
    (_activity, 2),
    (_existence, 2),
    (_place_of, 1),
    (_where_is, 1),
    (_yes_or_no, 2),
    (_is_it_so, 1),
    (_where_when_why, 2),
    (_what, 1),
    (_who, 1),
    (_which, 2),
    (_object_pronoun, 2),
    (_object_it, 2),
    (_giving, 2),
    (_speaking, 1),
    (_dreaming, 1),
    (_two_clauses, 2),
)
TEMPLATES = tuple(template for template, weight in _WEIGHTED for _ in range(weight))


# -- the vocabulary -------------------------------------------------------------------------------------------------

_ENGLISH_LITERALS = ". ? of there where when why what who no any an do does did will cannot could"
_FRENCH_LITERALS = ". ? , de à et mais que où quand pourquoi qui est-ce y ne pas jamais souvent toujours il elle"
_CONTRACTED = "j' m' t' n' l' d' qu' cet du des au aux"


def _literals(pattern: str) -> str:
    return " ".join(word for word in pattern.split() if "{" not in word)


def word_forms() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Every English and every French token that a sentence can hold."""
    pairs: list[Pair] = [(_ENGLISH_LITERALS, _FRENCH_LITERALS), ("", _CONTRACTED), *PRONOUNS, *DATIVES]
    pairs += [(determiner, " ".join(forms)) for determiner, forms in DETERMINERS.items()] + [("", "quelles")]
    pairs += [(english, french) for english, french, *_ in _OBJECTS]
    pairs += [pair for times in _TIMES.values() for pair in times]
    pairs += [*_INTENSIFIERS, *_CONJUNCTIONS, *(where for where, _ in _LOCATIONS + _SPOTS)]
    for noun, said in _SAID_OF.items():
        for plural in (False, True) if noun.english_plural else (False,):
            pairs += [noun_group(noun, plural, before, None) for before in _BEFORE[noun]]
            pairs += [noun_group(noun, plural, None, after) for after in _AFTER[noun]]
            pairs += [(adjective.english, adjective.agree(noun.gender, plural)) for adjective in said]
    slots = range(10)
    spoken = {*_TRANSITIVE, *_GIVING, *_RESTING, *(verb for verb, _ in _MOTION), _SPEAK, _DREAM}
    for verb in spoken:
        for tense in ("present", "future") if verb is _HAVE else _TENSES:
            pairs += [clause(verb, slot, tense, adverb) for slot in slots for adverb in _ADVERBS]
    for verb in (_GO, _RETURN, _STAY, *_RESTING):
        pairs += [clause(verb, slot, "progressive") for slot in slots]
    for verb in _AGREEING:
        pairs += [clause(verb, 0, "past", preceding_object=slot) for slot in range(6, 10)]
    for verb in _ABOUT_PEOPLE:
        pairs += [clause(verb, 0, "past", preceding_object=slot) for slot in range(6)]
    pairs += [copula(slot, tense) for slot in slots for tense in _TENSES]
    pairs += [existence(tense, plural, False) for tense in ("present", "past") for plural in (False, True)]
    for construction in CONSTRUCTIONS:
        pairs += [(_literals(construction.english), _literals(construction.french))]
        pairs += [clause(verb, slot, "past") for verb in construction.verbs for slot in slots]
        for nouns_here, fits in (
            (construction.x_nouns, construction.fits_x),
            (construction.y_nouns, construction.fits_y),
        ):
            pairs += [(a.english, a.agree(noun.gender)) for a in fits for noun in nouns_here]
    english = {word for pair in pairs for word in pair[0].split()}
    french = {word for pair in pairs for word in pair[1].split()}
    return tuple(sorted(english)), tuple(sorted(french))
