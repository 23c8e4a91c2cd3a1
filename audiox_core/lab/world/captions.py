"""Captions of scenes: several wordings for each class, each of which names only its class.

`{pitch}` and `{pace}` are replaced by a word, or by nothing.
"""

import re

from numpy.random import Generator

WORDINGS: dict[str, tuple[str, ...]] = {
    "ball": (
        "a {pitch} ball bounces {pace} on the floor",
        "the {pitch} thump of a bouncing ball",
        "a rubber ball bouncing {pace}",
        "{pitch} bounces of a ball",
        "a ball falls and bounces with a {pitch} thud",
        "someone bounces a ball {pace}",
        "basketball bouncing {pace}, {pitch}",
    ),
    "beep": (
        "{pitch} electronic beeps",
        "a light flashes and beeps {pace}",
        "a {pitch} beep with each flash of a lamp",
        "an alarm beeping {pace}",
        "a machine gives {pitch} beeps",
        "beep of a flashing signal, {pitch}",
        "a {pitch} electronic signal beeping {pace}",
    ),
    "marimba": (
        "a {pitch} marimba is played {pace}",
        "wooden bars of a marimba are struck",
        "{pitch} marimba notes",
        "a mallet strikes a {pitch} marimba",
        "someone plays the marimba {pace}",
        "single notes of a xylophone, {pitch}",
        "a xylophone struck {pace} with a mallet",
    ),
    "bell": (
        "a {pitch} bell rings {pace}",
        "the ringing of a {pitch} bell",
        "a church bell tolls {pace}",
        "a {pitch} bell is rung",
        "bell ringing, {pitch}",
        "a brass bell swings and rings {pace}",
    ),
    "anvil": (
        "a hammer strikes an anvil {pace}",
        "a {pitch} clang of hammer on anvil",
        "a blacksmith hammering {pace}",
        "metal clanks as a hammer hits the anvil",
        "{pitch} hammer blows on iron",
        "hammering on a {pitch} anvil",
        "a smith forges iron with {pitch} blows",
    ),
    "footsteps": (
        "someone walks {pace} on gravel",
        "{pitch} footsteps",
        "footsteps of a person walking {pace}",
        "shoes stepping on gravel, {pitch}",
        "a person walks by with {pitch} steps",
        "the crunch of {pitch} footsteps",
    ),
    "clock": (
        "a clock ticks {pace}",
        "the {pitch} ticking of a clock",
        "tick tock of an old clock",
        "a {pitch} clock ticking {pace}",
        "a wall clock with a {pitch} tick",
        "ticking clock, {pitch}",
    ),
    "drip": (
        "water drips {pace}",
        "{pitch} drops of water fall into a pool",
        "a dripping tap, {pitch}",
        "a {pitch} drip of water",
        "water drops fall {pace} from a tap",
        "the {pitch} plop of dripping water",
    ),
    "bird": (
        "a bird chirps {pace}",
        "{pitch} bird chirps",
        "a small bird sings with a {pitch} chirp",
        "the {pitch} chirping of a bird",
        "a bird opens its beak and chirps",
        "a sparrow chirping {pace}, {pitch}",
    ),
    "rain": (
        "rain falls in showers",
        "the sound of {pitch} rain",
        "rain starts and stops",
        "a cloud pours {pitch} rain",
        "{pitch} rain on the ground",
        "a rain shower comes and goes",
    ),
    "wind": (
        "wind blows through the grass",
        "{pitch} gusts of wind",
        "the wind rises and falls",
        "a {pitch} wind howls",
        "grass sways in a {pitch} wind",
        "wind blowing, {pitch}",
    ),
    "engine": (
        "a {pitch} engine speeds up and slows down",
        "a car engine revving, {pitch}",
        "the {pitch} hum of a motor",
        "a car drives by with a {pitch} engine",
        "an engine accelerates",
        "{pitch} motor of a car",
    ),
}

PITCHES = {-1: ("low", "deep", "dull"), 0: ("", ""), 1: ("high", "bright", "sharp")}
PACES = {-1: ("slowly", "now and then"), 0: ("", "again and again"), 1: ("quickly", "fast")}


def caption(label: str, pitch: int, pace: int, rng: Generator) -> str:
    """A sentence for a scene.

    Args:
        label: its class.
        pitch: -1 low, 0 nothing to say, 1 high.
        pace: -1 few events, 0 nothing to say, 1 many.
        rng: draws the wording.
    """
    wording = WORDINGS[label][rng.integers(len(WORDINGS[label]))]
    words = {"pitch": _one_of(PITCHES[pitch], rng), "pace": _one_of(PACES[pace], rng)}
    sentence = " ".join(wording.format(**words).split()).strip(" ,").replace(" ,", ",")
    return re.sub(r"\ba (?=[aeiou])", "an ", sentence)


def _one_of(words: tuple[str, ...], rng: Generator) -> str:
    return words[rng.integers(len(words))]
