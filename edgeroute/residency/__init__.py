"""The verbs of staying warm: pure, plain data in, plain data out; time is an argument."""
