"""Benchmarks of annotating cells: agreement, speed, and streaming to a service."""
