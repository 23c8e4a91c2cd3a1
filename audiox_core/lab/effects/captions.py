"""Captions of scenes of recorded effects: several wordings for each class, counts and loudness."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator


@dataclass(frozen=True)
class Words:
    """How a class is spoken of."""

    one: str  # of one event, or of a texture: "a dog bark"
    many: str  # several events: "dog barks"; empty for a texture
    sentences: tuple[str, ...]  # of any number


WORDS = {
    "dog": Words("a dog bark", "dog barks", (
        "a dog barks", "a barking dog", "a small dog is barking", "the bark of a puppy",
        "a dog barks at someone", "a terrier barking", "woof of a dog")),
    "bird": Words("a bird chirp", "bird chirps", (
        "a bird chirps", "a bird sings", "a chirping bird in a garden", "the tweet of a small bird",
        "birdsong", "a sparrow chirping in a tree")),
    "door": Words("a door slam", "door slams", (
        "a door slams", "someone slams a door", "a door is shut", "the slam of a heavy door",
        "a wooden door closes with a bang", "a door slamming shut")),
    "footsteps": Words("a footstep", "footsteps", (
        "someone walks", "footsteps", "a person walks by", "footsteps of someone walking",
        "steps of shoes on a hard floor", "a man walking down a corridor")),
    "ball": Words("a bounce of a ball", "bounces of a ball", (
        "a ball bounces", "a bouncing ball", "a basketball bounces on the floor",
        "someone dribbles a basketball", "the thump of a bouncing ball", "a rubber ball bouncing")),
    "clock": Words("a tick of a clock", "ticks of a clock", (
        "a clock ticks", "a ticking clock", "the tick tock of an old clock",
        "an alarm clock ticking", "the ticking of a wall clock")),
    "drip": Words("a drop of water", "drops of water", (
        "water drips", "dripping water", "a dripping tap", "drops of water fall into a pool",
        "the drip of a leaking tap", "a water drop falls with a plop")),
    "bell": Words("a bell ring", "bell rings", (
        "a bell rings", "the ringing of a bell", "a bell is struck", "a brass bell rings out",
        "a church bell tolls", "a small bell ringing")),
    "chime": Words("a ring of a wind chime", "rings of a wind chime", (
        "a wind chime tinkles", "wind chimes", "the tinkle of a wind chime",
        "a wind chime sways on a porch", "glassy wind chimes ringing softly together")),
    "anvil": Words("a hammer blow", "hammer blows", (
        "a hammer strikes an anvil", "a blacksmith hammers", "the clang of a hammer on metal",
        "a hammer hits iron", "hammering on an anvil", "metal clangs under a hammer")),
    "drum": Words("a drum beat", "drum beats", (
        "a drum is beaten", "someone plays a drum", "beats of a drum", "a tom drum is hit",
        "drumming", "a drummer hits a tom")),
    "telephone": Words("a telephone ring", "telephone rings", (
        "a telephone rings", "the ringing of an old telephone", "a phone is ringing",
        "an old phone rings on a desk", "a ringing telephone")),
    "explosion": Words("an explosion", "explosions", (
        "something explodes", "a bomb explodes", "a loud blast", "the boom of an explosion",
        "a big explosion", "fireworks explode with a boom")),
    "thunder": Words("a clap of thunder", "claps of thunder", (
        "thunder rolls", "thunder rumbles", "lightning and thunder", "a thunderstorm",
        "the roll of thunder", "rumbling thunder after a flash of lightning")),
    "laugh": Words("a laugh", "laughs", (
        "someone laughs", "a person is laughing", "laughter", "a man laughs out loud",
        "a laughing face", "a hearty laugh")),
    "heartbeat": Words("a heartbeat", "heartbeats", (
        "a heart beats", "a beating heart", "the thud of a heartbeat", "a heart pounding",
        "heartbeat", "the beat of a human heart")),
    "rain": Words("rain", "", (
        "rain falls", "rain on a tin roof", "it is raining", "a rain shower",
        "rain pours from a cloud", "heavy rain on a roof", "the patter of rain")),
    "wind": Words("wind", "", (
        "wind blows", "a gust of wind", "howling wind", "the wind rises and falls",
        "wind blowing through trees", "a windy day")),
    "sea": Words("waves of the sea", "", (
        "waves break on a beach", "ocean waves", "the sea", "waves roll onto the shore",
        "surf on a beach", "the sound of the sea")),
    "fire": Words("a fire", "", (
        "a fire crackles", "a crackling fire", "a campfire burns", "flames crackle",
        "wood burning in a fireplace", "a burning fire")),
    "engine": Words("a car engine", "", (
        "a car engine revving", "an engine speeds up and slows down", "a car drives by",
        "the hum of a motor", "a car accelerates", "a motor running")),
    "train": Words("a train", "", (
        "a train passes", "a steam train", "a train rattles along the rails",
        "a locomotive puffing", "the chug of a train", "a passing train")),
    "helicopter": Words("a helicopter", "", (
        "a helicopter flies overhead", "a helicopter hovers", "the chop of helicopter blades",
        "rotor of a helicopter", "a helicopter in the sky")),
    "siren": Words("a siren", "", (
        "a siren wails", "a police siren", "an ambulance siren", "the wail of a siren",
        "a police car with its siren on", "an emergency siren sounds")),
    "applause": Words("applause", "", (
        "people applaud", "an audience claps", "applause of a crowd", "clapping hands",
        "a crowd is clapping", "the audience applauds")),
    "horse": Words("a galloping horse", "", (
        "a horse gallops", "hooves of a horse", "a horse runs by", "the gallop of a horse",
        "hoofbeats", "a horse galloping on a road")),
}  # fmt: skip
COUNTS = ("", "one", "two", "three", "four")
SEVERAL = ("several", "a few", "some")
LOUDNESS = {
    -1: ("{}, quietly", "{} far away", "{} in the distance", "quiet: {}", "{}, soft"),
    0: ("{}",),
    1: ("{}, loud", "{} close by", "{}, very loud", "loud: {}"),
}
PACES = {-1: ("slowly", "now and then"), 0: ("",), 1: ("quickly", "again and again", "fast")}
JOINS = ("{}, then {}", "{} and then {}", "{}, followed by {}", "first {}, then {}")
PACED = 0.5  # share of the sentences of many events that name the pace


def describe(label: str, count: int, pace: int, counted: bool, rng: Generator) -> str:
    """A phrase for one class.

    Args:
        label: the class.
        count: events; 0 for a texture.
        pace: -1 few events, 0 nothing to say, 1 many.
        counted: whether the phrase names the count.
        rng: draws the wording.
    """
    words = WORDS[label]
    if counted and count:
        if count == 1:
            return words.one if rng.random() < 0.5 else re.sub(r"^an? ", "one ", words.one)
        number = COUNTS[count] if count < len(COUNTS) else _one_of(SEVERAL, rng)
        return f"{number} {words.many}"
    if counted or rng.random() < 0.15:
        return words.many if count > 1 else words.one
    sentence = _one_of(words.sentences, rng)
    return f"{sentence} {_one_of(PACES[pace], rng)}".strip() if rng.random() < PACED else sentence


def join(phrases: Sequence[str], rng: Generator) -> str:
    """One phrase, or two in their order."""
    return phrases[0] if len(phrases) == 1 else _one_of(JOINS, rng).format(*phrases)


def with_loudness(phrase: str, loudness: int, rng: Generator) -> str:
    """A phrase with a word for -1 quiet or 1 loud."""
    return _one_of(LOUDNESS[loudness], rng).format(phrase)


def _one_of(words: Sequence[str], rng: Generator) -> str:
    return words[rng.integers(len(words))]
