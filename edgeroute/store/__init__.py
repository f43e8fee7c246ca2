"""What outlives the daemon: the journal."""
