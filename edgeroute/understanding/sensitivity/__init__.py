"""What in a request must not travel: identifiers, secrets, and weak evidence of persons."""

from edgeroute.understanding.sensitivity.finding import Finding, Strength
from edgeroute.understanding.sensitivity.scan import scan, scan_request, scan_texts

__all__ = ["Finding", "Strength", "scan", "scan_request", "scan_texts"]
