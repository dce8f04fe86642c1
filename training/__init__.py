"""Training: from labelled clips to a tracked run. Never deployed."""
