"""Conversion of models for other engines."""
