"""Addresses on a network: of a mailbox, a host, a device."""

import ipaddress
import re
from collections.abc import Iterator

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.plain import Plain


def find_addresses(plain: Plain) -> Iterator[Finding]:
    """Yield e-mail, IP and MAC addresses."""
    if "@" in plain.text:
        yield from _mailboxes(plain.text)
    yield from _hosts(plain)


_LOCAL = re.compile(r"\w[\w.+%'-]{0,63}(?= ?$)")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.){1,6}([A-Za-z]{2,24})(?![\w@-])")
_SPACED_DOMAIN = re.compile(
    r" ?[A-Za-z0-9_-]{1,63}(?: ?\. ?[A-Za-z0-9_-]{1,63}){0,3} ?\. ?"
    r"(com|org|net|io|de|fr|es|it|edu|gov|uk|co|in|info|eu|ch|nl|me|us|ca|au|jp|cn|ru|br)(?!\w)"
)
_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "py", "json", "php"}
_LONGEST_LOCAL = 66


def _mailboxes(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:  # from the sign to both sides: a long run of letters is read once
        local = _LOCAL.search(text, max(0, at - _LONGEST_LOCAL), at)
        domain = _DOMAIN.match(text, at + 1) or _SPACED_DOMAIN.match(text, at + 1)
        if local and domain and local[0] != "git" and domain[1].lower() not in _FILE_ENDINGS:
            yield Finding("EMAIL_ADDRESS", local.start(), domain.end(), Strength.HARD)
        at = text.find("@", at + 1)


_IPV4 = re.compile(r"\d(?<![\w.]\d)\d{0,2}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:")
_PAIRS = re.compile(r"[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]")
_VERSION = re.compile(r"(?:version|release|build|firmware|ver|section|chapter|§|v)[ .:=]{0,3}$")
_RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"})
"""Addresses that everybody uses."""
_VERSION_WORD = 12
_MIN_GROUPS = 4
_MAC_JOINTS = 5


def _found(kind: str, match: re.Match[str]) -> Finding:
    return Finding(kind, match.start(), match.end(), Strength.HARD)


def _hosts(plain: Plain) -> Iterator[Finding]:
    text = plain.text
    if plain.digits >= _MIN_GROUPS and text.count(".") >= _MIN_GROUPS - 1:
        for match in _IPV4.finditer(text):
            word = plain.lower[max(0, match.start() - _VERSION_WORD) : match.start()]
            if _is_somebodys(match[0].partition("/")[0]) and not _VERSION.search(word):
                yield _found("IP_ADDRESS", match)
    colons = text.count(":")
    if colons > 1 and _COLONS.search(text) is not None:
        for match in _IPV6.finditer(text):
            groups = sum(map(bool, match[0].split(":")))
            if groups >= _MIN_GROUPS and _is_somebodys(match[0]):
                yield _found("IP_ADDRESS", match)
    if colons + text.count("-") >= _MAC_JOINTS and _PAIRS.search(text) is not None:
        yield from (_found("MAC_ADDRESS", match) for match in _MAC.finditer(text))


def _is_somebodys(address: str) -> bool:
    if address in _RESOLVERS or address.startswith(("255.", "0.")):
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast)
