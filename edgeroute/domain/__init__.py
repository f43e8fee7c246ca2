"""The nouns: frozen, slotted dataclasses over the standard library, and nothing that acts."""
