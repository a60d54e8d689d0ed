"""Seeing: which nets recognise, find, segment and compare, and at what depth."""
