"""From the bytes of drawn tokens to the text of an answer.

Owns half characters (a token may end inside one) and stop strings (no part of one is ever shown).
Knows neither tokens nor models.
"""

import codecs
from collections.abc import Sequence


class StopFilter:
    """Cuts a text, fed in pieces, before the stop string that is complete first.

    Whatever the pieces, what it gives back is the same: text that may be the beginning of a stop
    string is held until it is known to be one or not.

    Attributes:
        stopped: A stop string was found; nothing more comes.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = stops
        self._held = ""

    def feed(self, text: str) -> str:
        """Give back what can be shown now that `text` is known."""
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            _, at = min(found)
            return text[:at]
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Give back what is held: the text is over, so it was not a stop string."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max(map(len, self._stops)) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0


class AnswerText:
    """The text of one answer, from the bytes of its tokens.

    Bytes that are not UTF-8 become U+FFFD, as with `bytes.decode(errors="replace")`.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._filter = StopFilter(stops)

    @property
    def stopped(self) -> bool:
        """Whether a stop string ended the answer."""
        return self._filter.stopped

    def feed(self, piece: bytes) -> str:
        """Give back what can be shown now that the next token's bytes are known."""
        return self._filter.feed(self._decoder.decode(piece))

    def flush(self) -> str:
        """Give back the rest, the answer being over."""
        return self._filter.feed(self._decoder.decode(b"", final=True)) + self._filter.flush()
