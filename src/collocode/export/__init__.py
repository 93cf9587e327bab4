"""Exporters: the NLP record in other tools' terms."""
