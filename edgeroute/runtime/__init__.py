"""The shell: drives the ports by the pure verbs; adapters arrive injected."""
