"""Bytes to nouns and back; the only floor that knows serialisation."""
