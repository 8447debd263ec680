"""Yours to edit: what the gate compares, where the built-in metrics do not fit."""
