"""Home Assistant's grammar: which texts are orders, and which of several is chosen."""

import pytest

from wyoming_faster_whisper.biasing.grammar import (
    Fit,
    Grammar,
    choose_order,
    grammar,
)
from wyoming_faster_whisper.biasing.templates import template_languages, templates

NAMES = ("Kitchen", "Living Room", "Reading Lamp", "Red Lamp", "Netatmo")
GAINS = {Fit.NONE: 0.0, Fit.ORDER: 1.0, Fit.HOME: 2.0}


@pytest.fixture(scope="module")
def anywhere() -> Grammar:
    return Grammar("en", ())


@pytest.fixture(scope="module")
def home() -> Grammar:
    return Grammar("en", NAMES)


def choose(known: Grammar, *hypotheses: tuple[str, float]) -> str:
    texts, scores = zip(*hypotheses, strict=True)
    chosen: str = texts[choose_order(texts, scores, known, GAINS)]
    return chosen


@pytest.mark.parametrize(
    ("text", "unknown", "known"),
    [
        ("Turn on the kitchen light.", Fit.ORDER, Fit.HOME),
        ("Turn on the chicken light.", Fit.ORDER, Fit.ORDER),
        ("Turn off Netatmo!", Fit.NONE, Fit.HOME),
        ("turn of the kitchen light", Fit.NONE, Fit.NONE),
        ("Set a timer for 5 minutes.", Fit.HOME, Fit.HOME),
        ("Set a time for 5 minutes.", Fit.NONE, Fit.NONE),
        ("What time is it?", Fit.HOME, Fit.HOME),
        ("Tell me a story about dragons.", Fit.NONE, Fit.NONE),
        ("The works will start on Monday.", Fit.NONE, Fit.NONE),
        ("", Fit.NONE, Fit.NONE),
        ("turn on the kitchen light " * 5, Fit.NONE, Fit.NONE),
    ],
)
def test_a_text_fits_home_assistants_templates(
    anywhere: Grammar, home: Grammar, text: str, unknown: Fit, known: Fit
) -> None:
    assert (anywhere.fit(text), home.fit(text)) == (unknown, known)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Schalte das Licht in der Küche ein."),
        ("fr", "Allume la lumière de la cuisine."),
        ("nl", "Zet het licht in de keuken aan"),
        ("ko", "주방 불 켜줘"),
        ("no", "Slå på lyset på kjøkkenet"),
        ("zh", "打开厨房的灯"),
    ],
)
def test_other_languages_have_a_grammar(language: str, text: str) -> None:
    assert Grammar(language, ()).fit(text) > Fit.NONE


@pytest.mark.parametrize("name", ["TV (old", "[Lamp", "{name}", "a|b", "<x>", "(", "Lamp)", "\\"])
def test_a_name_with_brackets_is_no_template(name: str) -> None:
    known = Grammar("en", (name, "lamp"))
    assert known.fit("turn on the lamp") is Fit.HOME


def test_a_language_without_a_grammar_has_none() -> None:
    assert "haw" not in template_languages()
    assert grammar("house", "haw", ()) is None


def test_an_order_wins_over_a_slightly_more_probable_text(anywhere: Grammar) -> None:
    heard = ("Turn of the kitchen light.", -2.0)
    assert choose(anywhere, heard, ("Turn off the kitchen light.", -2.6)).startswith("Turn off")
    assert choose(anywhere, heard, ("Turn off the kitchen light.", -3.1)) == heard[0]


def test_an_order_with_a_known_name_wins_over_one_with_another(home: Grammar) -> None:
    orders = (("Turn on the chicken light.", -2.0), ("Turn on the kitchen light.", -2.6))
    assert choose(home, *orders) == "Turn on the kitchen light."


def test_of_two_orders_the_more_probable_stays(anywhere: Grammar) -> None:
    orders = (("Turn on the chicken light.", -2.0), ("Turn on the kitchen light.", -2.1))
    assert choose(anywhere, *orders) == "Turn on the chicken light."


class Counting(Grammar):
    """Grammar that counts how often it compares a text with the templates."""

    fits = 0

    def fit(self, text: str) -> Fit:
        self.fits += 1
        return super().fit(text)


@pytest.mark.parametrize(
    ("rival", "score", "fits"),
    [
        ("Turn off the kitchen light.", -4.5, 0),  # not probable enough
        ("turn of the kitchen light", -2.1, 0),  # the same words
        ("Turn of the kitchen lights.", -2.1, 2),
    ],
)
def test_only_close_texts_are_compared_with_the_templates(
    rival: str, score: float, fits: int
) -> None:
    known = Counting("en", ())
    choose(known, ("Turn of the kitchen light.", -2.0), (rival, score))
    assert known.fits == fits


def test_if_the_first_text_fits_no_other_is_compared() -> None:
    known = Counting("en", NAMES)
    choose(known, ("Turn off the kitchen light.", -2.0), ("Turn off a kitchen light.", -2.1))
    assert known.fits == 1


def test_a_sentence_outside_the_grammar_stays(home: Grammar) -> None:
    heard = ("Tell me a story about dragons.", -2.0)
    assert choose(home, heard, ("Tell me a story about drakes.", -2.1)) == heard[0]


@pytest.mark.parametrize(
    ("heard", "order"),
    [
        ("Turn on the kitchen lied.", "Turn off the kitchen light."),
        ("Set the timer of five minutes.", "Set a timer for nine minutes."),
        ("Set timer of 15 minutes.", "Set a timer for 50 minutes."),
        ("Open a kitchen blind.", "Close the kitchen blinds."),
        ("Make kitchen light is red.", "Make the kitchen light green."),
    ],
)
def test_opposites_and_numbers_are_never_swapped(home: Grammar, heard: str, order: str) -> None:
    assert home.fit(order) > home.fit(heard)
    assert choose(home, (heard, -2.0), (order, -2.0)) == heard


@pytest.mark.parametrize(
    ("language", "heard", "order"),
    [
        ("en", "Turn up the kitchen light.", "Turn off the kitchen light."),
        ("de", "Schalte das Licht in der Küche ein.", "Schalte das Licht in der Küche aus."),
        ("de", "Licht in Küche auf 15 Prozent.", "Dimme das Licht in der Küche auf 50 Prozent."),
        ("fr", "Allumez la lumière de cuisine.", "Éteins la lumière de la cuisine."),
        ("es", "Encienda la luz del cocina.", "Apaga la luz de la cocina."),
        ("es", "Enciende la luz de la cocina.", "Apaga la luz de la cocina."),
        ("it", "Accendo la luce di cucina.", "Spegni la luce della cucina."),
        ("nl", "Zet licht in keuken aan.", "Zet het licht in de keuken uit."),
        ("ko", "주방에 불을 켜라", "주방 불 꺼줘"),
    ],
)
def test_opposites_differ_in_every_language(language: str, heard: str, order: str) -> None:
    known = Grammar(language, ())
    assert known.fit(order) > Fit.NONE
    assert not known.keeps(heard, order)


@pytest.mark.parametrize(
    ("heard", "order"),
    [
        ("Turn of the kitchen light.", "Turn off the kitchen light."),
        ("Turn the kitchen light.", "Turn on the kitchen light."),
        ("Set a timer for fife minutes.", "Set a timer for five minutes."),
    ],
)
def test_what_sounds_the_same_may_change(anywhere: Grammar, heard: str, order: str) -> None:
    assert anywhere.keeps(heard, order)


def test_words_in_names_of_the_home_may_change(home: Grammar) -> None:
    assert home.keeps("Turn on the red lamp.", "Turn on the reading lamp.")
    assert not Grammar("en", ()).keeps("Turn on the red lamp.", "Turn on the reading lamp.")


def test_a_grammar_is_kept_for_the_next_utterance() -> None:
    assert grammar("house", "en", NAMES) is grammar("house", "en", NAMES)


def test_the_templates_are_parsed_once_for_texts_with_known_names_and_others() -> None:
    english = templates("en")
    conditional = english.intents.intents["HassTurnOn"].data
    free = english._of_any_device.intents["HassTurnOn"].data
    assert any(data.requires_context for data in conditional)
    assert not any(data.requires_context or data.excludes_context for data in free)
    for one, other in zip(conditional, free, strict=True):
        assert one.sentences is other.sentences
