"""What the daemon's own parts achieve on files of labelled rows."""
