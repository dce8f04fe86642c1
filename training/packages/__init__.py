"""Speech that comes in packages -> training clips: recorded in Debian's, spoken by synthesisers."""
