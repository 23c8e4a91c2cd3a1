"""Captions of scenes of recorded effects: several wordings for each class, counts and loudness."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator


@dataclass(frozen=True)
class Words:
    """How a class is spoken of, whatever its loudness."""

    one: str  # of one event, or of a texture: "a dog bark"
    many: str  # several events: "dog barks"; empty for a texture
    verbs: tuple[str, ...]  # sentences of any number of events, which an adverb may follow
    nouns: tuple[str, ...]  # the same without a verb


WORDS = {
    "dog": Words("a dog bark", "dog barks",
        ("a dog barks", "a small dog is barking", "a dog barks at someone", "a puppy barks"),
        ("a barking dog", "dog barking", "barking of a terrier")),
    "bird": Words("a bird chirp", "bird chirps",
        ("a bird chirps", "a bird sings", "a sparrow chirps in a tree", "a small bird tweets"),
        ("a chirping bird in a garden", "birdsong", "chirping of a small bird")),
    "door": Words("a door slam", "door slams",
        ("a door slams", "someone slams a door", "a wooden door bangs shut", "a door is slammed"),
        ("a slamming door", "slamming of a heavy door", "a door slamming shut")),
    "footsteps": Words("a footstep", "footsteps",
        ("someone walks", "a person walks by", "a man walks down a corridor", "someone is walking"),
        ("steps of shoes on a hard floor", "footsteps of someone walking", "walking")),
    "ball": Words("a bounce of a ball", "bounces of a ball",
        ("a ball bounces", "a basketball bounces on the floor", "someone dribbles a basketball"),
        ("a bouncing ball", "a rubber ball bouncing", "bouncing of a basketball")),
    "clock": Words("a tick of a clock", "ticks of a clock",
        ("a clock ticks", "an alarm clock ticks", "an old clock goes tick tock"),
        ("a ticking clock", "ticking of a wall clock", "an alarm clock ticking")),
    "drip": Words("a drop of water", "drops of water",
        ("water drips", "a tap drips", "water drips into a pool", "water drips from a leaking tap"),
        ("dripping water", "a dripping tap", "dripping of a leaking tap")),
    "bell": Words("a bell ring", "bell rings",
        ("a bell rings", "a bell is struck", "a church bell tolls", "a brass bell rings"),
        ("a ringing bell", "ringing of a bell", "a small bell ringing")),
    "chime": Words("a ring of a wind chime", "rings of a wind chime",
        ("a wind chime tinkles", "a wind chime sways on a porch", "glass wind chimes ring"),
        ("wind chimes", "tinkling of a wind chime", "a wind chime ringing in the breeze")),
    "anvil": Words("a hammer blow", "hammer blows",
        ("a hammer strikes an anvil", "a blacksmith hammers", "a hammer hits iron",
         "metal clangs under a hammer"),
        ("hammering on an anvil", "clanging of a hammer on metal", "a blacksmith at work")),
    "drum": Words("a drum beat", "drum beats",
        ("a drum is beaten", "someone plays a drum", "a drummer hits a tom", "a tom drum is hit"),
        ("drumming", "beating of a drum", "a tom drum being played")),
    "telephone": Words("a telephone ring", "telephone rings",
        ("a telephone rings", "a phone is ringing", "an old phone rings on a desk"),
        ("a ringing telephone", "ringing of an old telephone", "a phone ringing")),
    "explosion": Words("an explosion", "explosions",
        ("something explodes", "a bomb explodes", "fireworks explode", "something blows up"),
        ("blasting", "exploding bombs", "blasts of dynamite")),
    "thunder": Words("a clap of thunder", "claps of thunder",
        ("thunder rolls", "thunder rumbles", "lightning strikes and thunder rolls"),
        ("thunder and lightning", "a thunderstorm", "rumbling thunder")),
    "laugh": Words("a laugh", "laughs",
        ("someone laughs", "a person is laughing", "a man laughs"),
        ("laughter", "a laughing face", "laughing")),
    "heartbeat": Words("a heartbeat", "heartbeats",
        ("a heart beats", "a heart is pounding", "a human heart beats"),
        ("a beating heart", "thumping of a heart", "beating of a human heart")),
    "rain": Words("rain", "",
        ("rain falls", "it is raining", "rain pours from a cloud"),
        ("rain on a tin roof", "a rain shower", "heavy rain on a roof", "pattering rain")),
    "wind": Words("wind", "",
        ("wind blows", "the wind rises and falls", "wind blows through trees"),
        ("gusts of wind", "wind in the trees", "a windy day")),
    "sea": Words("waves of the sea", "",
        ("waves break on a beach", "waves roll onto the shore", "the sea washes onto the sand"),
        ("ocean waves", "the sea", "surf on a beach")),
    "fire": Words("a fire", "",
        ("a fire crackles", "a campfire burns", "flames crackle"),
        ("a crackling fire", "wood burning in a fireplace", "a burning fire")),
    "engine": Words("a car engine", "",
        ("an engine speeds up and slows down", "a car drives by", "a car accelerates"),
        ("a car engine revving", "humming of a motor", "a motor running")),
    "train": Words("a train", "",
        ("a train passes", "a train rattles along the rails", "a locomotive puffs"),
        ("a steam train", "chugging of a train", "a passing train")),
    "helicopter": Words("a helicopter", "",
        ("a helicopter flies overhead", "a helicopter hovers", "helicopter blades chop the air"),
        ("chopping helicopter blades", "rotor of a helicopter", "a helicopter in the sky")),
    "siren": Words("a siren", "",
        ("a siren wails", "an emergency siren sounds", "a police car passes with its siren on"),
        ("a police siren", "an ambulance siren", "wailing of a siren")),
    "applause": Words("applause", "",
        ("people applaud", "an audience claps", "a crowd is clapping", "the audience applauds"),
        ("applause of a crowd", "clapping hands", "clapping of an audience")),
    "horse": Words("a galloping horse", "",
        ("a horse gallops", "a horse runs by", "a horse gallops on a road"),
        ("hooves of a horse", "galloping of a horse", "hoofbeats")),
}  # fmt: skip
COUNTS = ("", "one", "two", "three", "four")
LOUDNESS = {
    -1: ("{}, quietly", "{} far away", "{} in the distance", "quiet: {}", "{}, soft"),
    0: ("{}",),
    1: ("{}, loud", "{} close by", "{}, very loud", "loud: {}"),
}
PACES = {-1: ("slowly", "now and then"), 1: ("quickly", "again and again", "fast")}
JOINS = ("{}, then {}", "{} and then {}", "{}, followed by {}", "first {}, then {}")
PACED = 0.5  # share of the sentences with a verb that name the pace
SHORT = 0.15  # share of the phrases without a count that are the shortest ones


def describe(label: str, count: int, pace: int, counted: bool, rng: Generator) -> str:
    """A phrase for one class.

    Args:
        label: the class.
        count: events, at most four if they are counted; 0 for a texture.
        pace: -1 few events, 0 nothing to say, 1 many.
        counted: whether the phrase names the count.
        rng: draws the wording.
    """
    words = WORDS[label]
    if counted and count:
        if count == 1:
            return words.one if rng.random() < 0.5 else re.sub(r"^an? ", "one ", words.one)
        return f"{COUNTS[count]} {words.many}"
    if counted or rng.random() < SHORT:
        return words.one if count == 1 or not words.many else words.many
    sentence = _one_of((*words.verbs, *words.nouns), rng)
    if pace and sentence in words.verbs and rng.random() < PACED:
        return f"{sentence} {_one_of(PACES[pace], rng)}"
    return sentence


def join(phrases: Sequence[str], rng: Generator) -> str:
    """One phrase, or two in their order."""
    return phrases[0] if len(phrases) == 1 else _one_of(JOINS, rng).format(*phrases)


def with_loudness(phrase: str, loudness: int, rng: Generator) -> str:
    """A phrase with a word for -1 quiet or 1 loud."""
    return _one_of(LOUDNESS[loudness], rng).format(phrase)


def _one_of(words: Sequence[str], rng: Generator) -> str:
    return words[rng.integers(len(words))]
