"""One module a question; each has `run(bench) -> dict`, whose `goals` say what was promised and found."""
