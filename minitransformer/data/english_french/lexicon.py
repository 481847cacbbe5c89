"""The words of the built-in English-to-French task, with every form written down.

Each line is a word: English left of the bar, French right of it. This file does not know how words are put together:
agreement is in `phrases`, elision and contraction in `spelling`.

    noun        singular plural | singular plural gender            (no plural: used in the singular only)
    adjective   english | masculine feminine masculine-plural feminine-plural (form before a vowel)
    verb        base third past | present of je, tu, il, nous, ils | stem of the future | participle

"You" is always *tu*, so no verb needs its form for *vous*.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Noun:
    """A noun in both languages; the plurals are empty if the grammar does not use them."""

    english: str
    english_plural: str
    french: str
    french_plural: str
    gender: str  # "m" or "f"

    def __repr__(self) -> str:
        return f"Noun({self.english}, {self.french}, {self.gender})"


@dataclass(frozen=True, eq=False)
class Adjective:
    """An adjective: its French forms by gender and number, and before a vowel (bel, nouvel, vieil)."""

    english: str
    forms: tuple[str, str, str, str]  # m, f, m plural, f plural
    before_vowel: str  # masculine singular before a vowel

    def agree(self, gender: str, plural: bool = False) -> str:
        """The form that goes with a noun of this gender and number."""
        return self.forms[(gender == "f") + 2 * plural]

    def __repr__(self) -> str:
        return f"Adjective({self.english}, {self.forms[0]})"


@dataclass(frozen=True, eq=False)
class Verb:
    """A verb: three English forms and a particle ("look" + "at"), and its French conjugation."""

    english: tuple[str, str, str]  # base, third person, past
    particle: str
    present: tuple[str, ...]  # je, tu, il, nous, ils
    future: tuple[str, ...]
    participle: str
    auxiliary: str = "avoir"

    def __repr__(self) -> str:
        return f"Verb({' '.join((self.english[0], self.particle)).strip()}, {self.participle})"


def _nouns(table: str) -> tuple[Noun, ...]:
    found = []
    for line in table.strip().splitlines():
        english, french = (side.split() for side in line.split("|"))
        *french, gender = french
        found.append(Noun(english[0], "".join(english[1:]), french[0], "".join(french[1:]), gender))
    return tuple(found)


# Every class that takes part in pronoun sentences has as many masculine as feminine nouns.

PEOPLE = _nouns("""
    man men | homme hommes m
    boy boys | garçon garçons m
    king kings | roi rois m
    hero heroes | héros héros m
    uncle uncles | oncle oncles m
    brother brothers | frère frères m
    woman women | femme femmes f
    girl girls | fille filles f
    queen queens | reine reines f
    heroine heroines | héroïne héroïnes f
    aunt aunts | tante tantes f
    sister sisters | sœur sœurs f
""")

ANIMALS = _nouns("""
    dog dogs | chien chiens m
    cat cats | chat chats m
    bird birds | oiseau oiseaux m
    owl owls | hibou hiboux m
    mouse mice | souris souris f
    goat goats | chèvre chèvres f
    hen hens | poule poules f
    goose geese | oie oies f
""")

FRUITS = _nouns("""
    melon melons | melon melons m
    lemon lemons | citron citrons m
    apricot apricots | abricot abricots m
    pineapple pineapples | ananas ananas m
    apple apples | pomme pommes f
    pear pears | poire poires f
    orange oranges | orange oranges f
    strawberry strawberries | fraise fraises f
""")

# The first four of each gender are things that people pack.
GOODS = _nouns("""
    violin violins | violon violons m
    computer computers | ordinateur ordinateurs m
    mirror mirrors | miroir miroirs m
    umbrella umbrellas | parapluie parapluies m
    bicycle bicycles | vélo vélos m
    phone phones | téléphone téléphones m
    guitar guitars | guitare guitares f
    lamp lamps | lampe lampes f
    statue statues | statue statues f
    clock clocks | horloge horloges f
    car cars | voiture voitures f
    watch watches | montre montres f
""")

FURNITURE = _nouns("""
    desk desks | bureau bureaux m
    bench benches | banc bancs m
    stool stools | tabouret tabourets m
    table tables | table tables f
    chair chairs | chaise chaises f
    shelf shelves | étagère étagères f
""")

CONTAINERS = _nouns("""
    bag bags | sac sacs m
    drawer drawers | tiroir tiroirs m
    basket baskets | panier paniers m
    box boxes | boîte boîtes f
    suitcase suitcases | valise valises f
    wardrobe wardrobes | armoire armoires f
""")

OPENINGS = _nouns("""
    gate | portail m
    corridor | couloir m
    passage | passage m
    door | porte f
    window | fenêtre f
    entrance | entrée f
""")

SHOPS = _nouns("""
    showroom | salon m
    shop | magasin m
    garage | garage m
    factory | usine f
    gallery | galerie f
    agency | agence f
""")

PLACES = SHOPS + _nouns("""
    market | marché m
    airport | aéroport m
    hotel | hôtel m
    station | gare f
    school | école f
    church | église f
""")

HOMES = _nouns("""
    garden | jardin m
    house | maison f
""")

TEXTS = _nouns("""
    book books | livre livres m
    newspaper newspapers | journal journaux m
    letter letters | lettre lettres f
""")

NOUNS = PEOPLE + ANIMALS + FRUITS + GOODS + FURNITURE + CONTAINERS + OPENINGS + PLACES + HOMES + TEXTS


def _adjectives(table: str) -> dict[str, Adjective]:
    found = {}
    for line in table.strip().splitlines():
        english, french = (side.split() for side in line.split("|"))
        m, f, m_plural, f_plural, *rest = french
        found[english[0]] = Adjective(english[0], (m, f, m_plural, f_plural), rest[0] if rest else m)
    return found


# "New" is *nouveau* before its noun and *neuf* after the verb: the second is listed as "new (brand)".
ADJECTIVES = _adjectives(
    """
    small | petit petite petits petites
    big | grand grande grands grandes
    old | vieux vieille vieux vieilles vieil
    new | nouveau nouvelle nouveaux nouvelles nouvel
    beautiful | beau belle beaux belles bel
    pretty | joli jolie jolis jolies
    young | jeune jeune jeunes jeunes
    good | bon bonne bons bonnes

    red | rouge rouge rouges rouges
    blue | bleu bleue bleus bleues
    green | vert verte verts vertes
    black | noir noire noirs noires
    white | blanc blanche blancs blanches
    french | français française français françaises
    italian | italien italienne italiens italiennes

    happy | heureux heureuse heureux heureuses
    sad | triste triste tristes tristes
    tired | fatigué fatiguée fatigués fatiguées
    famous | célèbre célèbre célèbres célèbres
    kind | gentil gentille gentils gentilles

    expensive | cher chère chers chères
    heavy | lourd lourde lourds lourdes
    broken | cassé cassée cassés cassées
    fragile | fragile fragile fragiles fragiles
    crowded | bondé bondée bondés bondées
    noisy | bruyant bruyante bruyants bruyantes
    deserted | désert déserte déserts désertes
    lively | animé animée animés animées
    ripe | mûr mûre mûrs mûres
    juicy | juteux juteuse juteux juteuses
    rotten | pourri pourrie pourris pourries
    open | ouvert ouverte ouverts ouvertes
    deep | profond profonde profonds profondes
    full | plein pleine pleins pleines
    low | bas basse bas basses
    wobbly | bancal bancale bancals bancales
    wide | large large larges larges
    long | long longue longs longues
    narrow | étroit étroite étroits étroites
    short | court courte courts courtes
    fast | rapide rapide rapides rapides
    slow | lent lente lents lentes
    aggressive | agressif agressive agressifs agressives
    shy | timide timide timides timides
    nervous | nerveux nerveuse nerveux nerveuses
""".replace("\n\n", "\n")
)
ADJECTIVES["new (brand)"] = Adjective("new", ("neuf", "neuve", "neufs", "neuves"), "neuf")

_FUTURE_ENDINGS = ("ai", "as", "a", "ons", "ont")


def _verbs(table: str, auxiliary: str = "avoir") -> dict[str, Verb]:
    found = {}
    for line in table.strip().splitlines():
        english, present, stem, participle = (part.split() for part in line.split("|"))
        base, third, past, *particle = english
        found[" ".join([base, *particle])] = Verb(
            english=(base, third, past),
            particle="".join(particle),
            present=tuple(present),
            future=tuple(stem[0] + ending for ending in _FUTURE_ENDINGS),
            participle=participle[0],
            auxiliary=auxiliary,
        )
    return found


VERBS = {
    **_verbs("""
        have has had | ai as a avons ont | aur | eu
        eat eats ate | mange manges mange mangeons mangent | manger | mangé
        buy buys bought | achète achètes achète achetons achètent | achèter | acheté
        sell sells sold | vends vends vend vendons vendent | vendr | vendu
        see sees saw | vois vois voit voyons voient | verr | vu
        find finds found | trouve trouves trouve trouvons trouvent | trouver | trouvé
        choose chooses chose | choisis choisis choisit choisissons choisissent | choisir | choisi
        open opens opened | ouvre ouvres ouvre ouvrons ouvrent | ouvrir | ouvert
        write writes wrote | écris écris écrit écrivons écrivent | écrir | écrit
        like likes liked | aime aimes aime aimons aiment | aimer | aimé
        help helps helped | aide aides aide aidons aident | aider | aidé
        listen listens listened to | écoute écoutes écoute écoutons écoutent | écouter | écouté
        wait waits waited for | attends attends attend attendons attendent | attendr | attendu
        look looks looked for | cherche cherches cherche cherchons cherchent | chercher | cherché
        look looks looked at | regarde regardes regarde regardons regardent | regarder | regardé
        give gives gave | donne donnes donne donnons donnent | donner | donné
        speak speaks spoke to | parle parles parle parlons parlent | parler | parlé
        dream dreams dreamed of | rêve rêves rêve rêvons rêvent | rêver | rêvé
        sleep sleeps slept | dors dors dort dormons dorment | dormir | dormi
        work works worked | travaille travailles travaille travaillons travaillent | travailler | travaillé
        sing sings sang | chante chantes chante chantons chantent | chanter | chanté
    """),
    **_verbs(
        """
        go goes went | vais vas va allons vont | ir | allé
        arrive arrives arrived | arrive arrives arrive arrivons arrivent | arriver | arrivé
        return returns returned | retourne retournes retourne retournons retournent | retourner | retourné
        stay stays stayed | reste restes reste restons restent | rester | resté
        """,
        auxiliary="être",
    ),
}


# Verbs that are used in the past only: "I got", "I left".
for _english, _participle in (
    ("get gets got", "eu"),
    ("leave leaves left", "laissé"),
    ("lose loses lost", "perdu"),
    ("hide hides hid", "caché"),
    ("forget forgets forgot", "oublié"),
):
    _base, _third, _past = _english.split()
    VERBS[_base] = Verb((_base, _third, _past), "", (), (), _participle)


def nouns(names: str, among: tuple[Noun, ...] = NOUNS) -> tuple[Noun, ...]:
    """The nouns with these English names."""
    by_name = {noun.english: noun for noun in among}
    return tuple(by_name[name] for name in names.split())


def adjectives(names: str) -> tuple[Adjective, ...]:
    """The adjectives with these English names."""
    return tuple(ADJECTIVES[name] for name in names.split())


def verbs(*names: str) -> tuple[Verb, ...]:
    """The verbs with these English names, particle included ("look at")."""
    return tuple(VERBS[name] for name in names)
