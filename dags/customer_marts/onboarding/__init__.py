"""Getting to know a company's systems: what a source holds, what a company file makes of it.

``propose`` writes a first company file, ``check`` tries one without landing anything.
"""
