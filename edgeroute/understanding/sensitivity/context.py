"""Numbers that identify by the words around them: passports, accounts, policies, patients.

Owns the words, in several languages, and how near a number must stand. The words are looked for
first, since texts have fewer of them than numbers.
"""

import re
from collections.abc import Iterator, Mapping

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain, fold
from edgeroute.understanding.sensitivity.wording import any_of

_NUMBER = r"[ _-]?(?:numbers?|no\b\.?|nr\b\.?|num\b\.?|id\b|#|nummer|code)"
_WORDS: Mapping[str, str] = {
    "PASSPORT": "passport, reisepass, passnummer, passeport, pasaporte, passaporto, passaporte, "
    "paspoort, paszport, паспорт, загранпаспорт, 护照, 護照, パスポート, 旅券番号, 여권, "
    "جواز السفر, جواز سفر, पासपोर्ट, pasaport",
    "DRIVER_LICENSE": "driver's license, drivers license, driver license, driving license, "
    "driving licence, driver's licence, drivers licence, license number, licence number, "
    "license no, license id, dl number, dl no, dl:, dl#, fuhrerschein, fuhrerscheinnummer, "
    "permis de conduire, licencia de conducir, permiso de conducir, patente di guida, "
    "carta de conducao, rijbewijs, prawo jazdy, водительск, 驾照, 驾驶证, 運転免許, 운전면허",
    "ACCOUNT": "account number, account no, account #, account id, account:, acct, a/c, "
    "bank account, savings account, checking account, current account, account ending, "
    "kontonummer, bankkonto, konto-nr, numero de compte, compte bancaire, compte n, "
    "numero de cuenta, cuenta bancaria, cuenta corriente, numero di conto, conto corrente, "
    "conta bancaria, rekeningnummer, numer konta, номер счета, расчетный счет, лицевой счет, "
    "账号, 账户, 帳號, 口座番号, 계좌번호, hesap numarasi, खाता संख्या",
    "ROUTING_NUMBER": "routing number, routing no, routing #, routing code, aba number, aba #, "
    "sort code, bankleitzahl, blz, swift code, swift:, bic:, bic code, ifsc, transit number",
    "TAX_ID": "tax id, tax identification, taxpayer, tax number, tax no, tax reference, tin, ein:, "
    "ein number, employer identification, itin, atin, vat number, vat id, utr, steuernummer, "
    "steuer-id, steuer-identifikationsnummer, steueridentifikationsnummer, numero fiscal, nif:, "
    "numero de identificacion fiscal, nif number, codice fiscale, partita iva, pan card, "
    "pan number, pan no, pan:, инн, 税号, 納税者番号",
    "NATIONAL_ID": "national id, national identification, national identity, identity card, "
    "identity number, identification number, identification no, id card, id number, id no, "
    "id card number, national insurance, ni number, nino, aadhaar, aadhar, adhaar, "
    "social insurance number, personal number, personnummer, personalausweis, ausweisnummer, "
    "sozialversicherungsnummer, numero de securite sociale, carte d'identite, dni, nie:, "
    "documento de identidad, cedula, curp, cpf, carta d'identita, bsn, burgerservicenummer, "
    "pesel, снилс, 身份证, 身分證, マイナンバー, 주민등록번호, tc kimlik, nric, emirates id, "
    "आधार, رقم الهوية",
    "VOTER_ID": "voter id, voter number, voter card, voter registration, epic number",
    "US_SSN": "ssn, social security, soc sec",
    "PATIENT_ID": "patient id, patient number, patient no, patient #, patient file, mrn, "
    "medical record, medical id, medical file, hospital number, hospital id, chart number, "
    "health record, nhs number, nhs no, health card, health id, medicare, medicaid, "
    "patientennummer, patienten-id, dossier medical, numero de patient, historia clinica, "
    "numero de paciente, cartella clinica, versichertennummer, krankenversicherung, "
    "病历号, 患者番号, prescription number, rx number",
    "INSURANCE_ID": "policy number, policy no, policy #, policy id, policyholder, "
    "insurance policy, insurance number, insurance id, insurance no, insurance card, "
    "insurance member, member id, member number, group number, claim number, claim no, claim id, "
    "versicherungsnummer, policennummer, numero de police, numero de poliza, "
    "numero di polizza, polisnummer, полис, 保险单号, 保険証番号",
    "EMPLOYEE_ID": "employee id, employee number, employee no, employee #, staff id, "
    "staff number, badge number, badge id, badge no, badge #, payroll number, personnel number, "
    "personalnummer, mitarbeiternummer, matricule, numero de empleado, 员工编号, 社員番号",
    "STUDENT_ID": "student id, student number, student no, matrikelnummer, 学号, 学籍番号",
    "CUSTOMER_ID": "customer id, customer number, customer no, client id, client number, "
    "kundennummer, numero client, numero de cliente, numero cliente, loyalty number, "
    "membership number, membership id",
    "USER_ID": "user id, userid, username, user name, login id, benutzername",
    "CREDIT_CARD": "credit card, debit card, card number, card no, card #, cardnumber, visa, "
    "mastercard, amex, american express, maestro, kreditkarte, kartennummer, carte bancaire, "
    "carte de credit, tarjeta de credito, tarjeta, numero de tarjeta, carta di credito, "
    "cartao de credito, creditcard, karta kredytowa, номер карты, кредитн, 信用卡, 银行卡, "
    "クレジットカード, カード番号, 신용카드, kredi karti, my card, the card, this card, for card, "
    "his card, her card, new card, old card, card ending",
    "IBAN_CODE": "iban",
    "VEHICLE_ID": "license plate, licence plate, number plate, registration plate, plate number, "
    "vin:, vin number, vehicle identification, kennzeichen, plaque d'immatriculation, matricula, "
    "targa, номерной знак, 车牌, ナンバープレート",
    "SIM_ID": "imei, iccid, imsi, serial number of my",
}
"""Type to the words for it; each is folded like the texts are."""

_LOOSE_WORDS: Mapping[str, str] = {
    "ACCOUNT": "account, accounts, konto, compte, cuenta, conto, conta, rekening, 계좌",
    "PATIENT_ID": "patient, paciente, paziente, пациент",
    "INSURANCE_ID": "policy, insurance, versicherung, assurance, seguro",
    "CUSTOMER_ID": "customer, client, member, kunde",
}
"""Words that are often said without a number of their own: theirs must be long."""


def _by_word(listed: Mapping[str, str]) -> dict[str, str]:
    return {fold(word.strip()): kind for kind, words in listed.items() for word in words.split(",")}


_LOOSE = _by_word(_LOOSE_WORDS)
_TYPE_OF = _LOOSE | _by_word(_WORDS)
_CUE = re.compile(rf"(?<![a-z])({any_of(_TYPE_OF)})(?:{_NUMBER})?")

_FEWEST_DIGITS = 2
_SOME_DIGITS = re.compile(r"\d(?:\S{0,3}\d){2}| \d\d ")

_NEAR = 72
"""Characters after a cue in which its number is looked for."""
_BEFORE = 48
"""Characters before a cue, for `4711-2290 is my account number`."""
_WORDS_BETWEEN = 7
_TOKEN = re.compile(r"[^\s,;|\"'()\[\]{}<>]+")
_SENTENCE_ENDS = ".?!;"
_LONGEST_SHORT_FORM = 3
"""`No.` and `Nr.` end no sentence."""
_ID = re.compile(
    r"[#*]{0,2}(?:[A-Za-z]{0,12}[:=._/#-]{0,2})?[A-Za-z0-9*]{1,24}(?:[-_/.*][A-Za-z0-9*]{1,16}){0,6}"
)
_NOT_AN_ID = re.compile(
    r"(?:19|20)\d\d|[$€£#]?\d{1,3}(?:[.,]\d{3}){0,4}(?:[.,]\d{1,2})?"
    r"|\d{4}[./-]\d\d?[./-]\d\d?|\d\d?[./-]\d\d?[./-]\d{4}|\d\d?[./]\d\d?[./]\d\d|\d\d?:\d\d.*"
    r"|v?\d{1,3}(?:\.\d{1,3}){1,2}|\d{1,6}(?:k|m|gb|mb|kb|px|ms|st|nd|rd|th|usd|eur|%)"
)
"""Years, amounts, dates, times, versions, quantities."""
_MORE = re.compile(r"(?:[ -][A-Z0-9]{1,6}(?![a-z.])(?=[\s,.;:)\"'-]|$)){1,7}")
_MIN_DIGITS, _MIN_DIGITS_LOOSE = 4, 7
_MIN_DIGITS_OF = {"CREDIT_CARD": 12, "US_SSN": 9, "IBAN_CODE": 8}
_LONGEST_PREFIX = 4
"""Letters of a first group that has no digit: `QQ 12 34 56 C`."""
_MASKED = "*"
_MIN_DIGITS_MASKED = 3


def find_by_context(plain: Plain) -> Iterator[Finding]:
    """Yield numbers that words nearby say what they are."""
    if plain.digits < _FEWEST_DIGITS or _SOME_DIGITS.search(plain.text) is None:
        return
    past = 0
    for cue in _CUE.finditer(plain.lower):
        kind = _TYPE_OF[cue[1]]
        if cue.start() < past:
            continue
        needed = _MIN_DIGITS_LOOSE if cue[1] in _LOOSE else _MIN_DIGITS_OF.get(kind, _MIN_DIGITS)
        span = _after(plain.text, cue.end(), needed) or _before(plain.text, cue.start(), needed)
        if span is not None:
            past = max(past, span[1])
            yield Finding(kind, *span, Strength.HARD)


def _after(text: str, at: int, needed: int) -> tuple[int, int] | None:
    near = text[at : at + _NEAR]
    for index, token in enumerate(_TOKEN.finditer(near)):
        word = token[0].rstrip(".?!:")
        if index > _WORDS_BETWEEN:
            break
        start = at + token.start()
        end = start + len(word)
        if word == token[0] and (more := _MORE.match(text, end)) and _digits_in(more[0]):
            end = more.end()
        if word and _is_identifier(text[start:end], word, needed):
            return start, end
        if token[0][-1] in _SENTENCE_ENDS and len(word) > _LONGEST_SHORT_FORM:
            break
    return None


_THEN_CUE = re.compile(
    r"([^\s,;|\"'()\[\]{}<>]{4,40})[\"')]{0,2},? (?:is|was|are|ist|est|es|e|as)"
    r"(?: [a-z']{1,9}){0,2} ?$"
)


def _before(text: str, at: int, needed: int) -> tuple[int, int] | None:
    start = max(0, at - _BEFORE)
    match = _THEN_CUE.search(text[start:at])
    if match is None or not _is_identifier(match[1], match[1], needed):
        return None
    return start + match.start(1), start + match.end(1)


def _digits_in(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_identifier(number: str, word: str, needed: int) -> bool:
    """Whether a number, whose first group is `word`, has the digits and the look of one."""
    if _digits_in(number) < (_MIN_DIGITS_MASKED if _MASKED in number else needed):
        return False
    if not _digits_in(word) and not (word.isupper() and len(word) <= _LONGEST_PREFIX):
        return False
    return _ID.fullmatch(word) is not None and _NOT_AN_ID.fullmatch(number.lower()) is None
