"""The doors: HTTP over the Unix socket; knows requests and answers, not models."""
