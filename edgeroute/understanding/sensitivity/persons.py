"""Weak evidence of a person: names with a word that introduces them, dates of birth, addresses.

No small reader finds names in prose reliably, and two thirds of arithmetic word problems have one:
a name counts only beside an attribute.
"""

import re
from collections.abc import Iterator

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain, fold
from edgeroute.understanding.sensitivity.wording import any_of


def find_persons(plain: Plain) -> Iterator[Finding]:
    """Yield names, dates of birth and street addresses."""
    yield from _names(plain.text)
    if plain.digits:
        yield from _births(plain)
        yield from _streets(plain.text)


_INTRODUCTIONS = (
    "My name is", "my name is", "Name:", "name:", "I am", "I'm", "Mr", "Mr.", "Mrs", "Mrs.", "Ms",
    "Ms.", "Dr", "Dr.", "Prof.", "Professor", "Herr", "Frau", "Monsieur", "Madame", "Senor",
    "Senora", "Sr.", "Sra.", "Sig.", "Patient", "patient", "Employee", "employee", "Customer",
    "customer", "Client", "client", "Ich heisse", "Mein Name ist", "Je m'appelle", "je m'appelle",
    "Me llamo", "me llamo", "Mi chiamo", "mi chiamo", "Dear", "Regards,", "Sincerely,",
)  # fmt: skip
_CAPITAL = re.compile(r"[A-Z](?<=[ \n].)[A-Za-z'-]")
_NAME = re.compile(r"[A-Z][A-Za-z'-]{1,24}(?: [A-Z]\.)?(?: [A-Z][A-Za-z'-]{1,24}){0,2}")


def _names(text: str) -> Iterator[Finding]:
    past = 0
    for capital in _CAPITAL.finditer(text):  # there are fewer than places where a word may begin
        if text.endswith(_INTRODUCTIONS, past, capital.start() - 1):
            name = _NAME.match(text, capital.start())
            if name is not None:
                past = name.end()
                yield Finding("PERSON", name.start(), past, Strength.NAME)


_BORN = re.compile(
    any_of(
        fold(words)
        for words in (
            "date of birth", "birth date", "birthdate", "birthday", "dob", "d.o.b", "born",
            "geboren", "geburtsdatum", "né le", "née le", "date de naissance", "nacido el",
            "nacida el", "fecha de nacimiento", "nato il", "nata il", "data di nascita",
            "data de nascimento", "geboortedatum", "data urodzenia", "дата рождения", "родился",
            "родилась", "出生", "生年月日", "생년월일", "تاريخ الميلاد",
        )
    )
)  # fmt: skip
_DATE = re.compile(
    r"[^\d\n]{0,24}?(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
    r"|\d{1,2}[-/. ]{1,2}(?:\d{1,2}|[a-z]{3,9})[-/., ]{1,2}\d{2,4}"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6} \d{1,2}(?:st|nd|rd|th)?"
    r",? \d{4})"
)


def _births(plain: Plain) -> Iterator[Finding]:
    for cue in _BORN.finditer(plain.lower):
        if match := _DATE.match(plain.lower, cue.end()):
            yield Finding("DATE_OF_BIRTH", match.start(1), match.end(1), Strength.ATTRIBUTE)


_KINDS = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Square"
    "|Terrace|Close|Crescent|Highway|Hwy|Parkway"
)
_STREETS = (
    re.compile(
        r"\d(?<![\w.]\d)\d{0,4}[A-Za-z]?,? (?:[NSEW]\.? )?(?:[A-Z0-9][\w'-]{0,20} ){1,3}"
        rf"(?:{_KINDS})\b(?:\.?,? (?:Apt|Suite|Unit|#)\.? ?\d{{1,5}}[A-Z]?)?"
    ),
    re.compile(
        r"\d(?<![\w.]\d)\d{0,3}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|quai) "
        r"(?:[Dd](?:e|u|es) |de la |de l')?[A-Z][\w'-]{1,24}"
    ),
    re.compile(
        r"(?:Calle|Avenida|Avda\.|Via|Viale|Piazza|Rua|Plaza) (?:[\w'-]{1,20} ){1,4}(?:n\.? ?)?"
        r"\d{1,4}\b"
    ),
    re.compile(r"(?:Apt|Apartment|Suite|Flat)\.? \d{1,5}[A-Z]?\b"),
)
_ENDINGS = ("strasse", "str.", "weg", "platz", "gasse", "allee", "straat", "laan", "gatan", "katu")
_COMPOUND_STREET = re.compile(
    rf"\b[A-Z][a-z]{{2,20}}(?:{'|'.join(map(re.escape, _ENDINGS))}) \d{{1,4}}[a-z]?\b"
)


def _streets(text: str) -> Iterator[Finding]:
    compound = any(ending in text for ending in _ENDINGS)
    for pattern in (*_STREETS, _COMPOUND_STREET) if compound else _STREETS:
        for match in pattern.finditer(text):
            yield Finding("STREET_ADDRESS", match.start(), match.end(), Strength.ATTRIBUTE)
