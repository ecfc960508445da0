"""The measurements of tests/booted/bench: a file for each subject, and their lines in figures.py."""
