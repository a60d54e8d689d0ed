"""Trained nets that are attacked, explained and made smaller."""
