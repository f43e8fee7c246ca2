"""Request to features: the last that sees the text."""
