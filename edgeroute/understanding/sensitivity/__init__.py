"""What in a request must not travel: identifiers, secrets, and weak evidence of persons."""

from edgeroute.understanding.sensitivity.finding import Finding, Sensitivity, Strength
from edgeroute.understanding.sensitivity.scan import scan, scan_request

__all__ = ["Finding", "Sensitivity", "Strength", "scan", "scan_request"]
