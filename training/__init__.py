"""Fitting and measuring detectors: torch, MLflow and librosa live here and are never deployed."""
