"""The verbs of deciding: pure, plain data in, plain data out; time and randomness are arguments."""
