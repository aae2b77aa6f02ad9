"""Credit risk: scorecards, their quality, roll rates and provisions, as plain numpy."""
