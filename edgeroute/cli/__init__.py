"""The `edgeroute` command: reads arguments, asks the daemon, prints."""
