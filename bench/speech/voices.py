"""Speech synthesised with espeak-ng, for sentences and languages without recordings.

It is far from a human voice: it shows which of two servers recognises more, not how well they do.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..support.clips import Clip
from . import synthesis
from .synthesis import WORDS_A_MINUTE, Voice

ENGLISH_VOICES = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb+f3", "en-us+f4")
VOICES = {
    "de": ("de", "de+f3"),
    "fr": ("fr-fr", "fr-fr+f3"),
    "es": ("es", "es-419+f3"),
    "it": ("it", "it+f3"),
    "nl": ("nl", "nl+f3"),
}
"""Voices by language. Each voice says all sentences."""

WORDS = ("stop", "yes", "no", "lights off")
# fmt: off
MANNERS = {
    "normal": ("en", "en-us", "en-gb-scotland", "en-gb-x-rp"),
    "whispered": (
        "en+whisper", "en-us+whisper", "en-gb-scotland+whisper", "en+whisperf",
        "en-us+whisperf",
    ),
    "distant": ("en", "en-us", "en-gb-scotland", "en-gb-x-rp"),
}
# fmt: on
WORD_SPEEDS = (130, 165)  # words per minute

SENTENCES = {
    "en": """
        Turn on the light in the kitchen.
        Close the blinds in the bedroom.
        Set the temperature in the living room to 21 degrees.
        Add milk and butter to the shopping list.
        What is the weather like tomorrow?
        Start a timer for 10 minutes.
        Play some music in the bathroom.
        Is the front door locked?
        Turn the volume down.
        Switch off all the lights upstairs.
        Wake me up tomorrow morning.
        How warm is it in the garden?
        Open the garage door, please.
        Dim the lamp next to the sofa.
        Pause the television.
        Start the vacuum cleaner in the hallway.
        Cancel the timer for the eggs.
        When does the next train leave?
        Turn off the fan in the office.
        Good night, close everything.
    """,
    "de": """
        Schalte das Licht in der Küche ein.
        Mach die Rollläden im Schlafzimmer zu.
        Stell die Heizung im Wohnzimmer auf 21 Grad.
        Setze Milch und Butter auf die Einkaufsliste.
        Wie wird das Wetter morgen?
        Stell einen Wecker für morgen früh.
        Spiele Musik im Badezimmer.
        Ist die Haustür abgeschlossen?
        Mach die Musik leiser.
        Schalte alle Lampen im Garten aus.
        Wie warm ist es draußen?
        Öffne bitte das Garagentor.
        Starte den Staubsauger im Flur.
        Wann fährt der nächste Zug?
        Gute Nacht, mach alles aus.
    """,
    "fr": """
        Allume la lumière dans la cuisine.
        Ferme les volets de la chambre.
        Règle le chauffage du salon sur 21 degrés.
        Ajoute du lait et du beurre à la liste de courses.
        Quel temps fera-t-il demain ?
        Réveille-moi demain matin.
        Joue de la musique dans la salle de bain.
        Est-ce que la porte d'entrée est fermée ?
        Baisse le son de la télévision.
        Éteins toutes les lampes du jardin.
        Quelle est la température dehors ?
        Ouvre la porte du garage, s'il te plaît.
        Lance l'aspirateur dans le couloir.
        À quelle heure part le prochain train ?
        Bonne nuit, éteins tout.
    """,
    "es": """
        Enciende la luz de la cocina.
        Cierra las persianas del dormitorio.
        Pon la calefacción del salón a 21 grados.
        Añade leche y mantequilla a la lista de la compra.
        ¿Qué tiempo hará mañana?
        Despiértame mañana por la mañana.
        Pon música en el cuarto de baño.
        ¿Está cerrada la puerta de la casa?
        Baja el volumen de la televisión.
        Apaga todas las luces del jardín.
        ¿Qué temperatura hace fuera?
        Abre la puerta del garaje, por favor.
        Enciende la aspiradora en el pasillo.
        ¿A qué hora sale el próximo tren?
        Buenas noches, apaga todo.
    """,
    "it": """
        Accendi la luce in cucina.
        Chiudi le tapparelle della camera da letto.
        Imposta il riscaldamento del soggiorno a 21 gradi.
        Aggiungi latte e burro alla lista della spesa.
        Che tempo farà domani?
        Svegliami domani mattina.
        Metti un po' di musica in bagno.
        La porta di casa è chiusa a chiave?
        Abbassa il volume della televisione.
        Spegni tutte le luci del giardino.
        Quanti gradi ci sono fuori?
        Apri la porta del garage, per favore.
        Avvia l'aspirapolvere nel corridoio.
        A che ora parte il prossimo treno?
        Buona notte, spegni tutto.
    """,
    "nl": """
        Doe het licht in de keuken aan.
        Sluit de rolluiken in de slaapkamer.
        Zet de verwarming in de woonkamer op 21 graden.
        Zet melk en boter op de boodschappenlijst.
        Wat voor weer wordt het morgen?
        Maak me morgenochtend wakker.
        Speel muziek in de badkamer.
        Is de voordeur op slot?
        Zet het geluid van de televisie zachter.
        Doe alle lampen in de tuin uit.
        Hoe warm is het buiten?
        Open de garagedeur, alsjeblieft.
        Start de stofzuiger in de gang.
        Hoe laat vertrekt de volgende trein?
        Goedenacht, doe alles uit.
    """,
}


def installed() -> bool:
    return Voice("espeak-ng", "en").installed


def english() -> list[Clip]:
    """Return each English sentence by two of the voices, in turn."""
    return [
        say(sentence, ENGLISH_VOICES[(2 * number + second) % len(ENGLISH_VOICES)])
        for number, sentence in enumerate(_sentences("en"))
        for second in (0, 1)
    ]


def foreign(language: str) -> list[Clip]:
    """Return each sentence of a language by each of its voices."""
    return [
        say(sentence, voice) for sentence in _sentences(language) for voice in VOICES[language]
    ]


def short_words(manner: str) -> list[Clip]:
    """Return clips of one or two words; "distant" ones are not attenuated here."""
    return [
        say(word, voice, speed, phrases=(word,))
        for word in WORDS
        for voice in MANNERS[manner]
        for speed in WORD_SPEEDS
    ]


def say(
    text: str, voice: str, speed: int = WORDS_A_MINUTE, *, phrases: tuple[str, ...] = ()
) -> Clip:
    """Return a clip, from the cache if possible.

    Args:
        voice: name of an espeak-ng voice.
        speed: words per minute.
    """
    [clip] = synthesis.say([(text, Voice("espeak-ng", voice, speed / WORDS_A_MINUTE))])
    return replace(clip, phrases=phrases)


def _sentences(language: str) -> Iterator[str]:
    return (line.strip() for line in SENTENCES[language].strip().splitlines())
