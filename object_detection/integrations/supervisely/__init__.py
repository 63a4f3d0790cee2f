"""Supervisely's projects and JSON configs, unchanged: trained, applied, served."""
