"""Persons who review an export with the tools' own packages, each a program for the Python that has the package."""
