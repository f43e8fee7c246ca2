"""What answers: adapters to workers and servers; they know the nouns, not the decisions."""
