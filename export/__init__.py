"""Export: from a tracked run to a verified, registered and promoted bundle."""
