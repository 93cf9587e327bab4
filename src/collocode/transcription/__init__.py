"""Transcription, the narrow waist: Problem x Mesh x Scheme -> NLP record."""
