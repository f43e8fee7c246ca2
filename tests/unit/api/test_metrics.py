"""What a scrape tells of the daemon's memory."""

from edgeroute.api.metrics import Metrics
from edgeroute.domain.units import Bytes
from edgeroute.residency.prewarm import Guesses
from edgeroute.runtime.sessions import Sessions


def test_the_bytes_of_saved_conversations_are_told() -> None:
    sessions = Sessions(lambda: 0)
    metrics = Metrics(lambda: (), Guesses, sessions)
    assert b"edgeroute_conversation_bytes 0.0" in metrics.scrape()
    sessions.held = Bytes(123)
    assert b"edgeroute_conversation_bytes 123.0" in metrics.scrape()
